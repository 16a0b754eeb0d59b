-- expect: rows_of_another_size.lua:3: error: rows(X:t(), 0, m): n x 8 has n rows, not m
local X = tokens("X", 8, "n")
return kernel("bad", { O = rows(X:t(), 0, "m") })
