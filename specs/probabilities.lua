-- Attention that shows itself: the scores S before the mask and the probabilities P beside the result O. A result that
-- is asked for is built; without S and P the same formula needs no n x m matrix.
--
--     S = K'Q / sqrt d,     P = softmax(keep(S, i <= j)),     O = V P
local d = option("d", 64)

local Q = tokens("Q", d, "n", { heads = 4 })
local K = tokens("K", d, "m", { heads = 4 })
local V = tokens("V", d, "m", { heads = 4 })

local S = K:t() * Q / sqrt(d)                                   -- m x n
local P = softmax(keep(causal, S))
return kernel("probabilities", { O = V * P, P = P, S = S })
