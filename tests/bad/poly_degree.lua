-- expect: poly_degree.lua:4: error: the degree of poly expects a whole number from 1, got the number 2.5
local Q, K = tokens("Q", 64, "n"), tokens("K", 64, "m")
local S = K:t() * Q
S = poly(K, Q, 2.5, 1)
return kernel("bad", { S = S })
