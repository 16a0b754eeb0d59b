-- expect: map_predicate.lua:4: error: map: the formula gives the predicate lt(0, K:t() * Q): where(p, 1, 0) makes a number of it
local Q, K = tokens("Q", 64, "n"), tokens("K", 64, "m")
local S = K:t() * Q
S = map(function(s) return gt(s, 0) end, S)
return kernel("bad", { S = S })
