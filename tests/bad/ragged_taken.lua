-- expect: ragged_taken.lua:3: error: tokens K: ragged: the name W is already the input of line 2
local W = matrix("W", 8, 8)
local K = tokens("K", 8, "n", { ragged = "W" })
return kernel("bad", { O = W * K })
