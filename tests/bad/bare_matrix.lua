-- expect: bare_matrix.lua:5: error: bias is a matrix of m x n: inside a formula an entry of it is read, as in A(i, j)
local Q, K = tokens("Q", 64, "n"), tokens("K", 64, "m")
local S = K:t() * Q
local bias = scores("bias", "m", "n")
S = map(function(s) return s + bias end, S)
return kernel("bad", { S = S })
