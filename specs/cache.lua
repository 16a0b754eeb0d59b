-- Generating text with a cache of keys and values: n new tokens come after m past ones and see those and each other,
-- causally. The new arrays are [batch, n, heads, d] as a projection leaves them, the cache [batch, heads, m, d].
--
--     O = V softmax(keep(K'Q / sqrt d, i <= j + m)),     K = [past K, new K],     V = [past V, new V]
local d = option("d", 64)

local Q = tokens("Q", d, "n", { heads = 4, layout = "token" })
local newK = tokens("K", d, "n", { heads = 2, layout = "token" })
local newV = tokens("V", d, "n", { heads = 2, layout = "token" })
local pastK = tokens("pastK", d, "m", { heads = 2 })
local pastV = tokens("pastV", d, "m", { heads = 2 })

local K, V = hcat(pastK, newK), hcat(pastV, newV)               -- d x (m + n)
local S = keep(causal_end, K:t() * Q / sqrt(d))                 -- the last query sees the last key
return kernel("cache", { O = V * softmax(S) })
