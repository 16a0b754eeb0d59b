-- expect: whole_token.lua:4: error: * expects a number, got a whole token: dot, sqnorm or z[p] make one of it
local Q, K = tokens("Q", 64, "n"), tokens("K", 64, "m")
local S = K:t() * Q
S = pairs_of(function(z, x) return z * x end, K, Q)
return kernel("bad", { S = S })
