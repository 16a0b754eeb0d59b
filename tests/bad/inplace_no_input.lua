-- expect: inplace_no_input.lua:4: error: kernel: inplace: the string "Z" is no input
local X = tokens("X", 8, "n")
local Y = 2 * X
return kernel("bad", { O = Y }, { inplace = { O = "Z" } })
