-- expect: size_is_name.lua:3: error: the size n: the name is already the input of line 2
local n = vector("n", 8)
local A = tokens("A", 8, "n")
return kernel("bad", { O = A })
