-- Causal attention to the last tokens (Beltagy et al., "Longformer", arXiv:2004.05150), at a cost that grows as n:
--
--     O = V softmax(keep(K'Q / sqrt d, j - before <= i <= j))
local d = option("d", 64)
local before = option("before", 255)

local Q = tokens("Q", d, "n", { heads = 4 })
local K = tokens("K", d, "n", { heads = 4 })
local V = tokens("V", d, "n", { heads = 4 })

return kernel("window", { O = V * softmax(keep(window(before, 0), K:t() * Q / sqrt(d))) })
