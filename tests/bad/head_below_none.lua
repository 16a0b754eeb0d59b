-- expect: head_below_none.lua:4: error: W[h]: h is a head, a whole number from 0, not the number -1
local X, Z = tokens("X", 64, "n"), tokens("Z", 64, "m")
local W = matrix("W", 64, 64, { heads = 2 })
return kernel("bad", { O = W[-1] * X })
