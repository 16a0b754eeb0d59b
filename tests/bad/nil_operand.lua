-- expect: nil_operand.lua:4: error: + expects a number, a matrix or a symbol, got nil
local Q, K = tokens("Q", 64, "n"), tokens("K", 64, "m")
local S = K:t() * Q
S = S + scale
return kernel("bad", { S = S })
