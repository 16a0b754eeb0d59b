-- Causal products with a decay where the queries go on after the last key: blocks without keys fade the sums too.
local Q = tokens("Q", 40, "n", { heads = 3 })
local K = tokens("K", 40, "m", { heads = 3 })
local V = tokens("V", 24, "m", { heads = 3 })

local S = map(function(s, i, j, h) return s * exp((i - j) * 0.01 * (h + 1)) end, K:t() * Q)
return kernel("causal_few_keys", { O = V * keep(causal, S) })
