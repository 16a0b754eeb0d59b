-- Attention with a learned sink per head, as in gpt-oss (OpenAI, arXiv:2508.10925; the sinks of Xiao et al.,
-- arXiv:2309.17453): a key that has a score and no value, so that a query may attend to nothing.
--
--     O = V P,     P_ij = exp(S_ij) / (exp(s) + sum over k of exp(S_kj)),     S = K'Q / sqrt d,  i <= j
local d = option("d", 64)

local Q = tokens("Q", d, "n", { heads = 8 })
local K = tokens("K", d, "n", { heads = 2 })
local V = tokens("V", d, "n", { heads = 2 })
local s = scalar("s", { heads = 8 })

local S = keep(causal, K:t() * Q / sqrt(d))
return kernel("sink", { O = V * softmax(S, { sink = s }) }, { grad = { "Q", "K", "V", "s" } })
