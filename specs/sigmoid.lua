-- Attention with a sigmoid in place of the softmax (Ramapuram et al., "Sigmoid Self-Attention", arXiv:2409.04431):
--
--     O = V sigmoid(K'Q / sqrt d - log m)
--
-- An inner product kernel in the sense of Ma and Ying (doi 10.4208/jml.221206), section 3.3: elementwise, so one pass
-- over the keys needs no maximum and no sum. The bias -log m starts each query's weights near a sum of 1.
local d = option("d", 64)

local Q = tokens("Q", d, "n", { heads = 8 })
local K = tokens("K", d, "m", { heads = 8 })
local V = tokens("V", d, "m", { heads = 8 })

local S = K:t() * Q / sqrt(d) - log(size("m"))                  -- m x n
return kernel("sigmoid", { O = V * sigmoid(S) })
