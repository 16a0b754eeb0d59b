-- expect: no_such_head.lua:3: error: W[4]: W has heads 0 to 3
local W = matrix("W", 8, 8, { heads = 4 })
return kernel("bad", { O = W[4] })
