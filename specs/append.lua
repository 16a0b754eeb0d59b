-- Generating text with a cache that has room: the keys and values of n new tokens are put behind each item's `length`
-- past ones, in place, and the new tokens see those and each other, causally. The cache is that of Shazeer, "Fast
-- Transformer Decoding: One Write-Head is All You Need" (arXiv:1911.02150), section 2.4; its arrays are [batch, heads,
-- m, d].
--
--     K2_j = k_(j - length) where length <= j < length + n, else K_j;  V2 likewise
--     O = V2 softmax(keep(K2'Q / sqrt d, i <= length + j))
local d = option("d", 64)

local Q = tokens("Q", d, "n", { heads = 4 })
local k, v = tokens("k", d, "n", { heads = 2 }), tokens("v", d, "n", { heads = 2 })
local K, V = tokens("K", d, "m", { heads = 2 }), tokens("V", d, "m", { heads = 2 })
local length, n = count("length"), size("n")

local function append(cache, new)
   return map(function(old, i, j) return where(le(length, j) & lt(j, length + n), new(i, j - length), old) end, cache)
end
local K2, V2 = append(K, k), append(V, v)
local S = keep(function(i, j) return le(i, length + j) end, K2:t() * Q / sqrt(d))
return kernel("append", { O = V2 * softmax(S), K2 = K2, V2 = V2 }, { inplace = { K2 = "K", V2 = "V" } })
