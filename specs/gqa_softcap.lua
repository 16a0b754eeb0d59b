-- Causal grouped-query attention with a soft cap on the scores, as large language models use it today:
--
--     O = V softmax(keep(20 tanh(K'Q / (20 sqrt d)), i <= j)),     lse_j = log sum_i exp(...)
--
-- Eight query heads share two heads of keys and values (Ainslie et al., "GQA", arXiv:2305.13245); the cap keeps scores
-- within (-20, 20) (Gemma 2, arXiv:2408.00118). lse lets a caller merge results over parts of the keys.
local d = option("d", 64)
local cap = option("cap", 20)

local Q = tokens("Q", d, "n", { heads = 8 })
local K = tokens("K", d, "m", { heads = 2 })
local V = tokens("V", d, "m", { heads = 2 })

local S = K:t() * Q / sqrt(d)                                   -- m x n: row i is a key, column j a query
S = map(function(s) return cap * tanh(s / cap) end, S)
S = keep(function(i, j) return le(i, j) end, S)                 -- a query sees no key that comes after it

return kernel("gqa_softcap", { O = V * softmax(S), lse = logsumexp(S) })
