-- expect: swallowed_by_not.lua:4: error: keep: the formula gives a plain boolean: Lua's ==, and, or, not do not see symbols; eq ne lt le gt ge, & | ~ do
local Q, K = tokens("Q", 64, "n"), tokens("K", 64, "m")
local S = K:t() * Q
S = keep(function(i, j) return not le(i, j) end, S)
return kernel("bad", { S = S })
