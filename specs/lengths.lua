-- Attention in a padded batch: item b has keys 0 .. length - 1, and what lies behind them is never looked at.
--
--     O = V softmax(keep(K'Q / sqrt d, i < length))
local d = option("d", 64)

local Q = tokens("Q", d, "n", { heads = 4 })
local K = tokens("K", d, "m", { heads = 4 })
local V = tokens("V", d, "m", { heads = 4 })
local length = count("length")                                  -- an array [batch]

local S = keep(function(i, j) return lt(i, length) end, K:t() * Q / sqrt(d))
return kernel("lengths", { O = V * softmax(S) })
