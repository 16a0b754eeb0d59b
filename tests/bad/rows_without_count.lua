-- expect: rows_without_count.lua:3: error: rows(A, from, count): count is missing
local X, Z = tokens("X", 64, "n"), tokens("Z", 64, "m")
return kernel("bad", { O = rows(X, 1) })
