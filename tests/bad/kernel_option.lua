-- expect: kernel_option.lua:3: error: kernel has no option symetry: there are symmetry tolerance doc
local X = tokens("X", 8, "n")
return kernel("bad", { O = X }, { symetry = {} })
