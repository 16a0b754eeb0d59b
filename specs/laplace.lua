-- A coefficient from the Laplace kernel, section 3.3 of Ma and Ying (doi 10.4208/jml.221206):
--
--     f(X, Z) = X g(Z'X),     g_ij(Y) = exp(-gamma |y_i - y_j|_1)
local d = option("d", 64)
local k = option("k", 16)
local gamma = option("gamma", 1 / 8)

local X = tokens("X", d, "n")
local Z = tokens("Z", d, k)

local Y = Z:t() * X / sqrt(d)                                   -- k x n
return kernel("laplace", { O = X * laplace(Y, Y, gamma) },
              { symmetry = { orthogonal = { "X", "Z" }, permutation = { "X" } } })
