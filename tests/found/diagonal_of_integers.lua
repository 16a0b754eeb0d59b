-- diag of integers is a matrix of reals.
local X = tokens("X", 4, "n")
local k = ids("k", "n", { below = 8 })
return kernel("diagonal_of_integers", { D = diag(k), O = X * diag(k) })
