-- expect: name_is_size.lua:3: error: vector n: the name is already a runtime size
local A = tokens("A", 8, "n")
local n = vector("n", 8)
return kernel("bad", { O = A })
