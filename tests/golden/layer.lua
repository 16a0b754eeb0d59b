-- Heads, a mask, a captured bias, a projection and a residual.
local X = tokens("X", 6, "n")
local WQ, WK, WV = matrix("WQ", 3, 6, { heads = 2 }), matrix("WK", 3, 6, { heads = 2 }), matrix("WV", 3, 6, { heads = 2 })
local Wout, bias = matrix("Wout", 6, 6), vector("bias", 9, { heads = 2 })
local S = map(relative_bias(bias), (WK * X):t() * (WQ * X) / sqrt(3))
return kernel("layer", { Y = X + Wout * concat_heads(WV * X * softmax(keep(causal, S))) })
