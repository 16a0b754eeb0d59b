-- expect: too_large_integer.lua:4: error: 5000000000 does not fit an integer of 32 bits
local Q, K = tokens("Q", 64, "n"), tokens("K", 64, "m")
local S = K:t() * Q
S = map(function(s, i) return s + (i + 5000000000) end, S)
return kernel("bad", { S = S })
