-- expect: inplace_no_output.lua:4: error: kernel: inplace: the string "P" is no output
local X = tokens("X", 8, "n")
local Y = 2 * X
return kernel("bad", { O = Y }, { inplace = { P = "X" } })
