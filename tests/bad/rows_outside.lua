-- expect: rows_outside.lua:3: error: rows(X, 4, 5): 8 x n has 8 rows, not 9
local X = tokens("X", 8, "n")
return kernel("bad", { O = rows(X, 4, 5) })
