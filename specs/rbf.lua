-- A coefficient from a radial basis function, section 3.3 ("A perspective from kernels") of Ma and Ying
-- (doi 10.4208/jml.221206):
--
--     f(X, Z) = X g(Z'X),     g_ij(Y) = exp(-gamma |y_i - y_j|^2)
--
-- Tokens y_j in R^k attend to those near them; the weights do not sum to 1.
local d = option("d", 64)
local k = option("k", 32)
local gamma = option("gamma", 1 / 32)

local X = tokens("X", d, "n")
local Z = tokens("Z", d, k)

local Y = Z:t() * X / sqrt(d)                                   -- k x n
return kernel("rbf", { O = X * rbf(Y, Y, gamma) }, { symmetry = { orthogonal = { "X", "Z" }, permutation = { "X" } } })
