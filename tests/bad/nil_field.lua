-- expect: nil_field.lua:4: error: K:t() * Q, a matrix of m x n has no field size: A:t() transposes it, A[h] is its head h
local Q, K = tokens("Q", 64, "n"), tokens("K", 64, "m")
local S = K:t() * Q
local x = S.size.n
return kernel("bad", { S = S })
