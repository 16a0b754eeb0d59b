-- expect: token_outside.lua:4: error: dot expects tokens, as pairs_of gives them, got K, a matrix of 64 x m
local Q, K = tokens("Q", 64, "n"), tokens("K", 64, "m")
local S = K:t() * Q
S = dot(K, Q)
return kernel("bad", { S = S })
