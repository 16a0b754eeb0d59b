-- expect: mask_without_function.lua:4: error: all_of expects a function, got the number 3
local Q, K = tokens("Q", 64, "n"), tokens("K", 64, "m")
local S = K:t() * Q
S = keep(all_of(causal, 3), S)
return kernel("bad", { S = S })
