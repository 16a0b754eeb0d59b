-- Each query attends to the k keys of the largest scores (Gupta, Dar, Goodman, Ciprut and Berant, "Memory-efficient
-- Transformers via Top-k Attention", arXiv:2106.06899); of equal scores to those of lower keys.
--
--     O = V softmax(top_k(K'Q / sqrt d))
local d = option("d", 64)
local k = option("k", 32)

local Q = tokens("Q", d, "n", { heads = 4 })
local K = tokens("K", d, "m", { heads = 4 })
local V = tokens("V", d, "m", { heads = 4 })

return kernel("topk", { O = V * softmax(top(K:t() * Q / sqrt(d), k)) }, { grad = { "Q", "K", "V" } })
