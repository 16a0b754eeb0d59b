-- A coefficient of three tokens, Prop. 4.1 of Ma and Ying (doi 10.4208/jml.221206) in full:
--
--     g_ii = rho1(y_i, sum_(k != i) psi1(y_k, y_i)),     f(X, Z) = X g(Z'X) / n
--     g_ij = rho2(y_i, y_j, sum_(k != i, j) psi2(y_k, y_i, y_j))
--
-- psi2 weighs each third token by how well it closes the triangle of y_i, y_j and y_k, so it needs all three: n^3
-- terms, and no formula over pairs gives their sum. (psi2 of two tokens costs n^2: permutation.lua.)
local d = option("d", 64)
local k = option("k", 16)

local X = tokens("X", d, "n")
local Z = tokens("Z", d, k)

local Y = Z:t() * X / sqrt(d * k)                               -- k x n
local g = permutation_equivariant {
    Y = Y,
    psi1 = function(yk, yi) return exp(-sqdist(yk, yi)) end,
    rho1 = function(yi, s) return sqnorm(yi) / (1 + s) end,
    psi2 = function(yk, yi, yj) return exp(-sqdist(yk, yi) - sqdist(yk, yj) - sqdist(yi, yj)) end,
    rho2 = function(yi, yj, s) return s / (1 + s) end,
}
return kernel("triangle", { O = X * g / size("n") },
              { symmetry = { orthogonal = { "X", "Z" }, permutation = { "X" } } })
