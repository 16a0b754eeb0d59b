-- Causal attention over sequences of different lengths, packed end to end without padding: item b's tokens are those
-- from starts[b] on, before starts[b + 1]. FlashAttention's interface for such batches is the same (Dao et al.,
-- arXiv:2205.14135, its variable-length functions):
--
--     O_b = V_b softmax(keep(K_b'Q_b / sqrt d, i <= j)),     lse_b = log sum_i exp(...)
local d = option("d", 64)

local Q = tokens("Q", d, "n", { heads = 4, ragged = "starts" }) -- an array [n, 4, d], n being all items' tokens
local K = tokens("K", d, "n", { heads = 2, ragged = "starts" })
local V = tokens("V", d, "n", { heads = 2, ragged = "starts" })

local S = keep(causal, K:t() * Q / sqrt(d))
return kernel("packed", { O = V * softmax(S), lse = logsumexp(S) }, { grad = { "Q", "K", "V" } })
