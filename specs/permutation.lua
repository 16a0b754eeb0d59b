-- A permutation equivariant coefficient, Prop. 4.1 of Ma and Ying (doi 10.4208/jml.221206):
--
--     g_ii = rho1(y_i, sum_(k != i) psi1(y_k, y_i)),     f(X, Z) = X g(Z'X) / n
--     g_ij = rho2(y_i, y_j, sum_(k != i, j) psi2(y_k, y_i, y_j)),     so that f(XP, Z) = f(X, Z) P
--
-- Here a token attends to those that are closer to it than the others are on average. psi2 looks at two tokens only,
-- so its sums are sums over the rows of one n x n matrix, which is not kept.
local d = option("d", 64)
local k = option("k", 16)

local X = tokens("X", d, "n")
local Z = tokens("Z", d, k)

local Y = Z:t() * X / sqrt(d * k)                               -- k x n
local function near(x, y) return exp(-sqdist(x, y)) end
local g = permutation_equivariant {
    Y = Y,
    psi1 = function(yk, yi) return near(yk, yi) end,
    rho1 = function(yi, s) return sqnorm(yi) / (1 + s) end,
    psi2 = function(yk, yi, yj) return near(yk, yj) end,
    rho2 = function(yi, yj, s) return near(yi, yj) / (1 + s) end,
}
return kernel("permutation", { O = X * g / size("n") },
              { symmetry = { orthogonal = { "X", "Z" }, permutation = { "X" } } })
