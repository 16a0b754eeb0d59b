-- expect: missing_size.lua:2: error: tokens A: a size is a number or a name, not nil
local A = tokens("A", 8)
return kernel("bad", { O = A })
