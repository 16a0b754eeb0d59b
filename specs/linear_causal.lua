-- Causal attention without a softmax: eq. (3.2) of Ma and Ying (doi 10.4208/jml.221206) with sigma = identity, each
-- token seeing those before it (linear attention, Katharopoulos et al., arXiv:2006.16236, with plain keys and queries):
--
--     O = V keep(K'Q / d, i <= j)
--
-- No n x n matrix is built, and tiles that no query may see are skipped: half the work of the pairs of tokens.
local d = option("d", 64)

local Q = tokens("Q", d, "n", { heads = 4 })
local K = tokens("K", d, "n", { heads = 4 })
local V = tokens("V", d, "n", { heads = 4 })

return kernel("linear_causal", { O = V * keep(causal, K:t() * Q / d) })
