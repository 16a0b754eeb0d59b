-- Eq. (3.2) of Ma and Ying (doi 10.4208/jml.221206) with every part of it:
--
--     g(Y) = sigmoid(sum_i W(i,0) prod_j Y~ W(i,j)),     Y~ is Y or Y',     terms of order 2, 4, 6 and 8
--
-- No W may have n in its shape, so only Y' can come first and W(i,0) is a number; after each Y' comes a W, then Y, then
-- nothing or Y' again. The sum is Y'MY with one k x k matrix M.
local d = option("d", 64)
local k = option("k", 32)

local X = tokens("X", d, "n")
local Z = tokens("Z", d, k)
local Y = Z:t() * X / sqrt(d)                                   -- k x n

local form
for i = 1, 4 do
    local term = Y:t() * matrix("W" .. i .. "1", k, k) * Y      -- n x n
    for q = 2, i do term = term * Y:t() * matrix("W" .. i .. q, k, k) * Y end
    term = scalar("c" .. i) * term / (size("n") ^ (i - 1) * sqrt(k))
    form = form and form + term or term
end

return kernel("order_full", { O = X * sigmoid(form) },
              { symmetry = { orthogonal = { "X", "Z" }, permutation = { "X" } } })
