-- Eq. (3.2) of Ma and Ying (doi 10.4208/jml.221206) with N = infinity, as an exponential series of the quadratic form:
--
--     g(Y) = tanh(sum_(i >= 1) (c Y'AY)^i / i!) = tanh(Y' P c A Y),     P = sum_(i >= 0) (c A YY')^i / (i + 1)!
--
-- All orders at the cost of the second: P is k x k, the upper right block of exp([c A YY', I; 0, 0]).
local d = option("d", 64)
local k = option("k", 16)
local c = option("c", 1 / 4)

local X = tokens("X", d, "n")
local Z = tokens("Z", d, k)
local A = matrix("A", k, k)

local Y = Z:t() * X / sqrt(d * size("n"))                       -- k x n, so that YY' does not grow with n
local I, B = identity(k), c * A
local blocks = vcat(hcat(B * Y * Y:t(), I), hcat(0 * I, 0 * I)) -- 2k x 2k
local P = rows(rows(expm(blocks), 0, k):t(), k, k):t()

return kernel("series_exponential", { O = X * tanh(Y:t() * P * B * Y) },
              { symmetry = { orthogonal = { "X", "Z" }, permutation = { "X" } } })
