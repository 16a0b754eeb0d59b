-- Causal attention without a softmax in which every token makes what came before it fade: the state space duality of
-- Dao and Gu, arXiv:2405.21060 (with a scalar decay per token), gated retention in Sun et al., arXiv:2307.08621. The
-- gate a gives the decay sigmoid(a) in (0, 1); from key i to query j it is the product of those after i up to j,
--
--     O = V keep(K'Q / d * exp(c_j - c_i), i <= j),    c = cumsum(log sigmoid(a))
--
-- All keys before a block of tokens come in as one d x d matrix that fades from block to block: linear in the tokens.
local d = option("d", 64)

local Q = tokens("Q", d, "n", { heads = 4 })
local K = tokens("K", d, "n", { heads = 4 })
local V = tokens("V", d, "n", { heads = 4 })
local a = tokens("a", 1, "n", { heads = 4 })

local c = cumsum(map(function(x) return -softplus(-x) end, a))
local S = map(function(s, i, j) return s * exp(c(0, j) - c(0, i)) end, K:t() * Q / d)

return kernel("decay", { O = V * keep(causal, S) }, { grad = { "Q", "K", "V", "a" } })
