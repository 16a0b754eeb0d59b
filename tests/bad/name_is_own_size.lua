-- expect: name_is_own_size.lua:2: error: tokens n: the name is already a runtime size
local A = tokens("n", 8, "n")
return kernel("bad", { O = A })
