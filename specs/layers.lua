-- A deep model, section 5 of Ma and Ying (doi 10.4208/jml.221206), "Compositions and hierarchical feature extraction":
--
--     h(0) = X,     h(l) = sum_i W_i(l) h(l-1) g(Z_i(l)' h(l-1)),     f = h(L)
--
-- The sum over the heads i is sum_heads; g is the softmax of Y'Y.
local d = option("d", 32)
local k = option("k", 16)
local L = option("L", 3)
local m = 2

local h = tokens("X", d, "n")
for l = 1, L do
    local Z = tokens("Z" .. l, d, k, { heads = m })             -- learned vectors, or data
    local W = matrix("W" .. l, d, d, { heads = m })
    local Y = Z:t() * h / sqrt(d)                               -- k x n for each head
    h = sum_heads(W * h * softmax(Y:t() * Y / sqrt(k)))
end
return kernel("layers", { O = h }, { symmetry = { permutation = { "X" } } })
