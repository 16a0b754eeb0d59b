-- Attention with a learned bias for each distance between key and query (Shaw et al., arXiv:1803.02155, as a number per
-- head; Raffel et al., "T5", arXiv:1910.10683, without the buckets). Distances beyond the table's ends share its ends.
--
--     O = V softmax(K'Q / sqrt d + table(i - j))
local d = option("d", 64)
local reach = option("reach", 32)

local Q = tokens("Q", d, "n", { heads = 4 })
local K = tokens("K", d, "m", { heads = 4 })
local V = tokens("V", d, "m", { heads = 4 })
local table = vector("table", 2 * reach + 1, { heads = 4 })     -- entry reach + i - j

local S = map(relative_bias(table), K:t() * Q / sqrt(d))
return kernel("relative", { O = V * softmax(S) })
