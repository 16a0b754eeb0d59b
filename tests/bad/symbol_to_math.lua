-- expect: symbol_to_math.lua:4: error: bad argument #1 to 'exp' (number expected, got symbol)
local Q, K = tokens("Q", 64, "n"), tokens("K", 64, "m")
local S = K:t() * Q
S = map(function(s) return math.tanh and s or math.exp(s) end, S)
return kernel("bad", { S = S })
