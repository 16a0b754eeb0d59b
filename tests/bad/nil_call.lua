-- expect: nil_call.lua:4: error: attempt to call a nil value (global 'sotfmax')
local Q, K = tokens("Q", 64, "n"), tokens("K", 64, "m")
local S = K:t() * Q
S = sotfmax(S)
return kernel("bad", { S = S })
