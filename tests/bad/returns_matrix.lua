-- expect: returns_matrix.lua:2: error: the spec returns A, a matrix of 8 x n: it ends with return kernel(...)
return tokens("A", 8, "n")
