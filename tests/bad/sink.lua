-- expect: sink.lua:4: error: softmax: a sink is not available yet
local Q, K = tokens("Q", 64, "n"), tokens("K", 64, "m")
local S = K:t() * Q
S = softmax(S, { sink = 1 })
return kernel("bad", { S = S })
