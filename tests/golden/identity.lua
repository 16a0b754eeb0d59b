-- No sigma: reassociated, and nothing of size n x n anywhere.
local X, W = tokens("X", 4, "n"), matrix("W", 4, 4)
return kernel("identity", { O = X * (X:t() * W * X) })
