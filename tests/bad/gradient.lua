-- expect: gradient.lua:3: error: kernel: grad is not available yet
local X = tokens("X", 8, "n")
return kernel("bad", { O = X }, { grad = { "X" } })
