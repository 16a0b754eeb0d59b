-- expect: inplace_twice.lua:4: error: kernel: inplace: two outputs overwrite X
local X = tokens("X", 8, "n")
local Y = 2 * X
return kernel("bad", { O = Y, P = -X }, { inplace = { O = "X", P = "X" } })
