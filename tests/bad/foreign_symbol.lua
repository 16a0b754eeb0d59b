-- expect: foreign_symbol.lua:6: error: +: the symbol K:t() * Q belongs to another formula
local Q, K = tokens("Q", 64, "n"), tokens("K", 64, "m")
local S = K:t() * Q
local leak
local T = map(function(s) leak = s return s end, S)
S = map(function(s) return s + leak end, S)
return kernel("bad", { S = S })
