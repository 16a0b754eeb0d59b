-- expect: keep_number.lua:4: error: keep: i - j is a number, not a predicate: lt le gt ge eq ne make one
local Q, K = tokens("Q", 64, "n"), tokens("K", 64, "m")
local S = K:t() * Q
S = keep(function(i, j) return i - j end, S)
return kernel("bad", { S = S })
