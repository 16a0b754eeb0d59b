-- expect: inner_sizes.lua:5: error: K:t() * Q: 64 x m times 32 x n: inner sizes 64 and 32 differ
local K = tokens("K", 64, "m")
local Q = tokens("Q", 32, "n")

return kernel("bad", { S = K:t() * Q })
