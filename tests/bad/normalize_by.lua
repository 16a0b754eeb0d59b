-- expect: normalize_by.lua:4: error: normalize expects "sum", "l1", "l2", "max", or one of relu, exp, exp2, softplus, sigmoid, got the string "l3"
local Q, K = tokens("Q", 64, "n"), tokens("K", 64, "m")
local S = K:t() * Q
S = normalize(S, "l3")
return kernel("bad", { S = S })
