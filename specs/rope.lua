-- Causal attention with rotary position embeddings (Su et al., "RoFormer", arXiv:2104.09864): entries p and p + d/2
-- of each query and key are turned by the angle j theta^(-2p/d), so that scores depend on the tokens' distance alone.
--
--     O = V softmax(keep(R(K)' R(Q) / sqrt d, i <= j))
local d = option("d", 64)
local theta = option("theta", 10000)

local Q = tokens("Q", d, "n", { heads = 8 })
local K = tokens("K", d, "n", { heads = 2 })
local V = tokens("V", d, "n", { heads = 2 })

local S = keep(causal, rope(K, theta):t() * rope(Q, theta) / sqrt(d))
return kernel("rope", { O = V * softmax(S) })
