-- Kernel regression (Nadaraya 1964, Watson 1964): a weighted mean of the values V, the weights falling with the
-- distance of their keys from the query. Attention with a normalised RBF in place of the softmax:
--
--     O = V g,     g_ij = exp(-gamma |k_i - q_j|^2) / sum_l exp(-gamma |k_l - q_j|^2)
local d = option("d", 64)
local gamma = option("gamma", 1 / 64)

local Q = tokens("Q", d, "n", { heads = 2 })
local K = tokens("K", d, "m", { heads = 2 })
local V = tokens("V", d, "m", { heads = 2 })

return kernel("nadaraya", { O = V * normalize(rbf(K, Q, gamma), "sum") })
