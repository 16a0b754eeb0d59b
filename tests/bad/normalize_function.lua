-- expect: normalize_function.lua:4: error: normalize expects "sum", "l1", "l2", "max", or one of relu, exp, exp2, softplus, sigmoid, got sin
local Q, K = tokens("Q", 64, "n"), tokens("K", 64, "m")
local S = K:t() * Q
S = normalize(S, sin)
return kernel("bad", { S = S })
