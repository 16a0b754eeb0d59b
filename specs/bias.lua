-- Attention with a bias for each pair of tokens: a float mask as torch's scaled_dot_product_attention takes it, where
-- -inf forbids a pair and a query that may see nothing gives zeros.
--
--     O = V softmax(K'Q / sqrt d + B)
local d = option("d", 64)

local Q = tokens("Q", d, "n", { heads = 4 })
local K = tokens("K", d, "m", { heads = 4 })
local V = tokens("V", d, "m", { heads = 4 })
local B = scores("B", "m", "n", { heads = 4 })                  -- an array [batch, 4, n, m]

return kernel("bias", { O = V * softmax(K:t() * Q / sqrt(d) + B) })
