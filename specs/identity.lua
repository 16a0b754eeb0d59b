-- Eq. (3.2) of Ma and Ying (doi 10.4208/jml.221206) at order 2 with sigma = identity:
--
--     f(X, Z) = X (Y'WY) / n,     Y = Z'X
--
-- Without a sigma between the products, X (Y'(WY)) is (X Y')(WY): no n x n matrix and a cost that grows as n.
-- Known as linear attention (Katharopoulos et al., arXiv:2006.16236).
local d = option("d", 64)
local k = option("k", 64)

local X = tokens("X", d, "n")
local Z = tokens("Z", d, k)
local W = matrix("W", k, k)

local Y = Z:t() * X / sqrt(d)                                   -- k x n
local g = Y:t() * W * Y / sqrt(k)                               -- n x n as written, never built

return kernel("identity", { O = X * g / size("n") },
              { symmetry = { orthogonal = { "X", "Z" }, permutation = { "X" } } })
