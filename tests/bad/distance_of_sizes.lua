-- expect: distance_of_sizes.lua:3: error: sqdist(A, B): 8 x n and 9 x n: the tokens' sizes 8 and 9 differ
local A, B = tokens("A", 8, "n"), tokens("B", 9, "n")
return kernel("bad", { O = rbf(A, B, 1) })
