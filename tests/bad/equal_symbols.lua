-- expect: equal_symbols.lua:4: error: Lua's == and ~= do not see symbols and matrices: use eq or ne
local Q, K = tokens("Q", 64, "n"), tokens("K", 64, "m")
local S = K:t() * Q
S = keep(function(i, j) return i == j end, S)
return kernel("bad", { S = S })
