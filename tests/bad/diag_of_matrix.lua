-- expect: diag_of_matrix.lua:3: error: diag(A): 8 x n is not a column
local A = tokens("A", 8, "n")
return kernel("bad", { O = diag(A) })
