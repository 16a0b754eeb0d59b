-- A walk over causal products from the last token on, with more keys than queries or fewer, a decay by distance that
-- differs from head to head, and a factor for each key and each query.
local Q = tokens("Q", 40, "n", { heads = 3 })
local K = tokens("K", 40, "m", { heads = 3 })
local V = tokens("V", 24, "m", { heads = 3 })
local u, w = tokens("u", 1, "m", { heads = 3 }), vector("w", "n")

local S = map(function(s, i, j, h) return s * exp((j - i) * 0.01 * (h + 1)) end, K:t() * Q)
S = map(function(s, i, j) return s * u(0, i) * w(j) end, S)
return kernel("causal_backwards", { O = V * keep(function(i, j) return gt(i, j) end, S) })
