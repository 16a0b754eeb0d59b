-- expect: predicate_in_sum.lua:4: error: lt(0, K:t() * Q) is a predicate, not a number: where(p, 1, 0) makes a number of it
local Q, K = tokens("Q", 64, "n"), tokens("K", 64, "m")
local S = K:t() * Q
S = map(function(s) return s + gt(s, 0) end, S)
return kernel("bad", { S = S })
