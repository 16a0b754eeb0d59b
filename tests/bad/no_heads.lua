-- expect: no_heads.lua:2: error: tokens A: heads is a whole number from 1 to 4096, not the number 0
local A = tokens("A", 8, "n", { heads = 0 })
return kernel("bad", { O = A })
