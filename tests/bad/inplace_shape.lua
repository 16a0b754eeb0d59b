-- expect: inplace_shape.lua:4: error: kernel: inplace: O, m x n, is not of the shape, heads and items of X
local X, Z = tokens("X", 8, "n"), tokens("Z", 8, "m")
local Y = Z:t() * X
return kernel("bad", { O = Y }, { inplace = { O = "X" } })
