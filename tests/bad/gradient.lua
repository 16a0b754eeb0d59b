-- expect: gradient.lua:3: error: kernel: grad: the string "Z" is no input
local X = tokens("X", 8, "n")
return kernel("bad", { O = X }, { grad = { "Z" } })
