-- expect: hcat_rows_differ.lua:3: error: hcat(A, B): 8 x n beside 9 x m: row counts 8 and 9 differ
local A, B = tokens("A", 8, "n"), tokens("B", 9, "m")
return kernel("bad", { O = hcat(A, B) })
