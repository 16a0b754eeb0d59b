-- The gradient of what is dropped after a softmax: a dropped weight gets nothing, but its score still lessens the
-- others. The gradient of such a score was zero.
local X, W = tokens("X", 17, "n"), matrix("W", 17, 17)
local S = X:t() * W * X
return kernel("gradient_of_kept_softmax", {
    O = X * keep(causal, softmax(S / 17)),
    sums = X * keep(causal, cumsum(S / 17)),
})
