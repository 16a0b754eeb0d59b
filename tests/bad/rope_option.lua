-- expect: rope_option.lua:4: error: rope has no option the string "dim"
local Q, K = tokens("Q", 64, "n"), tokens("K", 64, "m")
local S = K:t() * Q
Q = rope(Q, 10000, { dim = 4 })
return kernel("bad", { S = S })
