-- expect: greater_or_equal.lua:4: error: Lua's < <= > >= do not see symbols: use lt, le, gt or ge
local Q, K = tokens("Q", 64, "n"), tokens("K", 64, "m")
local S = K:t() * Q
S = keep(function(i, j) return i >= 3 end, S)
return kernel("bad", { S = S })
