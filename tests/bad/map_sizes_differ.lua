-- expect: map_sizes_differ.lua:4: error: map: the matrices' sizes m and 64 differ
local Q, K = tokens("Q", 64, "n"), tokens("K", 64, "m")
local S = K:t() * Q
S = map(function(s, k) return s + k end, S, K)
return kernel("bad", { S = S })
