-- The derivative by a rate of decay, one for each head, made a pass over all pairs: its coefficients have the slope of
-- the decay as a factor. The keys of a query come after it, and are more or fewer than the queries.
local Q = tokens("Q", 24, "n", { heads = 3 })
local K = tokens("K", 24, "m", { heads = 3 })
local V = tokens("V", 40, "m", { heads = 3 })
local rate, w = scalar("rate", { heads = 3 }), vector("w", "n")

local S = map(function(s, i, j) return s * exp((j - i) * 0.02 * rate * rate) * w(j) end, K:t() * Q)
local after = keep(function(i, j) return ge(i, j) end, S)
return kernel("causal_slopes", { O = V * after, sums = sum(after) })
