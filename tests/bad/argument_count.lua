-- expect: argument_count.lua:4: error: tanh expects 1 argument, got 2
local Q, K = tokens("Q", 64, "n"), tokens("K", 64, "m")
local S = K:t() * Q
S = tanh(S, 2)
return kernel("bad", { S = S })
