-- expect: divide_by_matrix.lua:3: error: / divides by a number, a row or a column, not by A, a matrix of 8 x n: map divides entries
local A = tokens("A", 8, "n")
return kernel("bad", { O = A / A })
