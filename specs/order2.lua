-- The simplest coefficient of finitely many parameters, eq. (3.2) of Ma and Ying (doi 10.4208/jml.221206) at order 2:
--
--     f(X, Z) = X sigmoid(Y'WY),     Y = Z'X
--
-- W is k x k whatever the length n. The form is scaled so that sigmoid's argument stays near 1 for any n and k.
local d = option("d", 64)
local k = option("k", 64)

local X = tokens("X", d, "n")
local Z = tokens("Z", d, k)
local W = matrix("W", k, k)

local Y = Z:t() * X / sqrt(d)                                   -- k x n
local form = Y:t() * W * Y / sqrt(k)                            -- n x n

return kernel("order2", { O = X * sigmoid(form) }, { symmetry = { orthogonal = { "X", "Z" }, permutation = { "X" } } })
