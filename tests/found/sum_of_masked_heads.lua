-- Heads that drop different entries, added up: what one drops and another does not is 0 there, and not dropped.
local X = tokens("X", 16, "n")
local S = scores("S", "n", "n", { heads = 4 })
local mask = scores("mask", "n", "n", { heads = 2 })
local P = sum_heads(keep(function(i, j) return gt(mask(i, j), 0.3) end, S))
return kernel("sum_of_masked_heads", { O = X * P, W = X * softmax(P), P = P })
