-- A sigma inside a sigma, the coefficient that has to be built: Prop. 3.1 of Ma and Ying (doi 10.4208/jml.221206)
-- allows any g, and here it is
--
--     f(X, Z) = X tanh(relu(Y'AY) relu(Y'BY) / n),     Y = Z'X
--
-- Entry (i, j) follows every path i, p, j over a third token p: the product of two n x n matrices that are not of low
-- rank, so n^3 multiplications and n^2 memory.
local d = option("d", 64)
local k = option("k", 16)

local X = tokens("X", d, "n")
local Z = tokens("Z", d, k)
local A, B = matrix("A", k, k), matrix("B", k, k)

local Y = Z:t() * X / sqrt(d)                                   -- k x n
local a, b = Y:t() * A * Y / sqrt(k), Y:t() * B * Y / sqrt(k)   -- n x n
return kernel("deep", { O = X * tanh(relu(a) * relu(b) / size("n")) },
              { symmetry = { orthogonal = { "X", "Z" }, permutation = { "X" } } })
