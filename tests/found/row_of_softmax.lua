-- One row: the sums and the logsumexp of one stream are not one array; and the weights are not built to be summed.
local X2 = tokens("X2", 16, "n", { heads = 2 })
local X3 = tokens("X3", 16, "n", { heads = 4 })
local W4 = matrix("W4", 16, 16, { heads = 1 })
local T5 = W4 * X3
local P6 = cosine(T5, X2)
local P7 = softmax(P6)
local X21 = tokens("X21", 1, "n", { heads = 1 })
return kernel("row_of_softmax", { O0 = X21 * P7 + X21 })
