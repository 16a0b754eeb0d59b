-- expect: string_arithmetic.lua:4: error: attempt to perform arithmetic on a string value (constant 'n')
local Q, K = tokens("Q", 64, "n"), tokens("K", 64, "m")
local S = K:t() * Q
local last = "n" - 1
return kernel("bad", { S = S })
