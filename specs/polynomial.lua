-- A coefficient from a polynomial kernel, section 3.3 of Ma and Ying (doi 10.4208/jml.221206):
--
--     f(X, Z) = X g(Z'X),     g_ij(Y) = (y_i'y_j / k + 1)^2 / sum_l |(y_l'y_j / k + 1)^2|
local d = option("d", 64)
local k = option("k", 32)

local X = tokens("X", d, "n")
local Z = tokens("Z", d, k)

local Y = Z:t() * X / sqrt(d * k)                               -- k x n
return kernel("polynomial", { O = X * normalize(poly(Y, Y, 2, 1), "l1") },
              { symmetry = { orthogonal = { "X", "Z" }, permutation = { "X" } } })
