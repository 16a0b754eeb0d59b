-- expect: one_index.lua:5: error: bias is m x n: an entry is read by two indices, (i, j), not by 1
local Q, K = tokens("Q", 64, "n"), tokens("K", 64, "m")
local S = K:t() * Q
local bias = scores("bias", "m", "n")
S = map(function(s, i) return s + bias(i) end, S)
return kernel("bad", { S = S })
