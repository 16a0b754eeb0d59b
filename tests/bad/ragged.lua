-- expect: ragged.lua:2: error: tokens A: ragged is not available yet
local A = tokens("A", 8, "n", { ragged = "offsets" })
return kernel("bad", { O = A })
