-- expect: swallowed_by_or.lua:4: error: the predicate lt(i, 4) is never computed, because Lua's or does not see symbols: | joins predicates
local Q, K = tokens("Q", 64, "n"), tokens("K", 64, "m")
local S = K:t() * Q
S = keep(function(i, j) return le(i, j) or lt(i, 4) end, S)
return kernel("bad", { S = S })
