-- expect: softmax_of_symbol.lua:4: error: softmax expects a matrix, got the symbol K:t() * Q
local Q, K = tokens("Q", 64, "n"), tokens("K", 64, "m")
local S = K:t() * Q
S = map(function(s) return softmax(s) end, S)
return kernel("bad", { S = S })
