-- Causal attention with linear biases in place of position encodings (Press et al., "ALiBi", arXiv:2108.12409):
--
--     O = V softmax(keep(K'Q / sqrt d - slope_h (j - i), i <= j)),     slope_h = 2^(-8 (h + 1) / H)
local d = option("d", 64)

local Q = tokens("Q", d, "n", { heads = 8 })
local K = tokens("K", d, "n", { heads = 8 })
local V = tokens("V", d, "n", { heads = 8 })

local S = keep(causal, map(alibi(8), K:t() * Q / sqrt(d)))
return kernel("alibi", { O = V * softmax(S) })
