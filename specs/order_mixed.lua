-- A sum of terms of different order in the tokens, eq. (3.2) of Ma and Ying (doi 10.4208/jml.221206):
--
--     f(X, Z) = X sigmoid(sum_i Y' W(i,1) Y ... Y' W(i,q) Y),     Y = Z'X,     term i of order 2q = 2, 4 and 8
--
-- Each term is Y' M_i Y with a k x k matrix M_i, and so is their sum: it costs what one of order 2 costs.
-- Every term is scaled by 1 / (n^(q-1) sqrt k), so that sigmoid's argument stays near 1 for any n and k.
local d = option("d", 64)
local k = option("k", 64)

local X = tokens("X", d, "n")
local Z = tokens("Z", d, k)
local Y = Z:t() * X / sqrt(d)                                   -- k x n

local function term(i, q)                                       -- n x n
    local form = Y:t() * matrix("W" .. i .. "1", k, k) * Y
    for p = 2, q do form = form * Y:t() * matrix("W" .. i .. p, k, k) * Y end
    return form / (size("n") ^ (q - 1) * sqrt(k))
end

return kernel("order_mixed", { O = X * sigmoid(term(1, 1) + term(2, 2) + term(3, 4)) },
              { symmetry = { orthogonal = { "X", "Z" }, permutation = { "X" } } })
