-- expect: declared_twice.lua:3: error: tokens A: the name is already the input of line 2
local A = tokens("A", 8, "n")
local B = tokens("A", 8, "n")
return kernel("bad", { O = A })
