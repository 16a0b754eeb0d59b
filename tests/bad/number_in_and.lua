-- expect: number_in_and.lua:4: error: i is a number, not a predicate: lt le gt ge eq ne make one
local Q, K = tokens("Q", 64, "n"), tokens("K", 64, "m")
local S = K:t() * Q
S = keep(function(i, j) return le(i, j) & i end, S)
return kernel("bad", { S = S })
