-- A coefficient of order 4 in the tokens, eq. (3.2) of Ma and Ying (doi 10.4208/jml.221206):
--
--     f(X, Z) = X sigmoid(Y' W1 Y Y' W2 Y),     Y = Z'X
--
-- Y Y' in the middle is k x k, so the form is Y'MY with M = W1 Y Y' W2: order 4 costs what order 2 costs.
-- The form is scaled so that sigmoid's argument stays near 1 for any n and k.
local d = option("d", 64)
local k = option("k", 64)

local X = tokens("X", d, "n")
local Z = tokens("Z", d, k)
local W1, W2 = matrix("W1", k, k), matrix("W2", k, k)

local Y = Z:t() * X / sqrt(d)                                   -- k x n
local form = Y:t() * W1 * Y * Y:t() * W2 * Y                    -- n x n
local scale = 1 / (size("n") * sqrt(k))

return kernel("order4", { O = X * sigmoid(scale * form) },
              { symmetry = { orthogonal = { "X", "Z" }, permutation = { "X" } } })
