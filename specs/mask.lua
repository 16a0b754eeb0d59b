-- Attention under a mask of booleans or integers: query j sees key i where mask(i, j) is not 0.
--
--     O = V softmax(keep(K'Q / sqrt d, mask))
local d = option("d", 64)

local Q = tokens("Q", d, "n", { heads = 4 })
local K = tokens("K", d, "m", { heads = 4 })
local V = tokens("V", d, "m", { heads = 4 })
local mask = ids("mask", "m", "n")                              -- an array [batch, n, m], shared by the heads

local S = keep(function(i, j) return ne(mask(i, j), 0) end, K:t() * Q / sqrt(d))
return kernel("mask", { O = V * softmax(S) })
