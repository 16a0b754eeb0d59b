-- expect: half_a_size.lua:2: error: tokens A: a size is a whole number from 0 to 2147483647, not the number 8.5
local A = tokens("A", 8.5, "n")
return kernel("bad", { O = A })
