-- A coefficient of order 8 in the tokens, eq. (3.2) of Ma and Ying (doi 10.4208/jml.221206):
--
--     f(X, Z) = X sigmoid(Y' W1 Y  Y' W2 Y  Y' W3 Y  Y' W4 Y),     Y = Z'X
--
-- Each Y Y' in the middle is k x k, so the form is Y'MY with M = W1 YY' W2 YY' W3 YY' W4: order 8 costs what order 2
-- costs. The form is scaled so that sigmoid's argument stays near 1 for any n and k.
local d = option("d", 64)
local k = option("k", 64)

local X = tokens("X", d, "n")
local Z = tokens("Z", d, k)

local Y = Z:t() * X / sqrt(d)                                   -- k x n
local form = Y:t() * matrix("W1", k, k) * Y                     -- n x n
for i = 2, 4 do form = form * Y:t() * matrix("W" .. i, k, k) * Y end
local scale = 1 / (size("n") ^ 3 * sqrt(k))

return kernel("order8", { O = X * sigmoid(scale * form) },
              { symmetry = { orthogonal = { "X", "Z" }, permutation = { "X" } } })
