-- expect: not_yet.lua:4: error: top is not available yet
local Q, K = tokens("Q", 64, "n"), tokens("K", 64, "m")
local S = K:t() * Q
S = top(S, 4)
return kernel("bad", { S = S })
