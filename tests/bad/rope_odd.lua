-- expect: rope_odd.lua:4: error: rope: dims is even and at most 7, not 7
local Q, K = tokens("Q", 64, "n"), tokens("K", 64, "m")
local S = K:t() * Q
Q = rope(rows(Q, 0, 7), 10000)
return kernel("bad", { S = S })
