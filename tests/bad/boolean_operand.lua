-- expect: boolean_operand.lua:4: error: *: a plain boolean, as == gives: predicates are made by eq ne lt le gt ge
local Q, K = tokens("Q", 64, "n"), tokens("K", 64, "m")
local S = K:t() * Q
S = S * true
return kernel("bad", { S = S })
