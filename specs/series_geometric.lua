-- Eq. (3.2) of Ma and Ying (doi 10.4208/jml.221206) with N = infinity, as a geometric series of the quadratic form:
--
--     g(Y) = tanh(sum_(i >= 1) c^i (Y'AY)^i) = tanh(c Y'A (I - c YY'A)^-1 Y)
--
-- All orders at the cost of the second: the inverse is of a k x k matrix. The series converges where c |YY'A| < 1.
local d = option("d", 64)
local k = option("k", 32)
local c = option("c", 1 / 32)

local X = tokens("X", d, "n")
local Z = tokens("Z", d, k)
local A = matrix("A", k, k)

local Y = Z:t() * X / sqrt(d * size("n"))                       -- k x n, so that YY' does not grow with n
local form = c * Y:t() * A * inverse(identity(k) - c * Y * Y:t() * A) * Y

return kernel("series_geometric", { O = X * tanh(form) },
              { symmetry = { orthogonal = { "X", "Z" }, permutation = { "X" } } })
