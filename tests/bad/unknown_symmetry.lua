-- expect: unknown_symmetry.lua:3: error: kernel: symmetry.orthogonal: the string "Z" is no input
local X = tokens("X", 8, "n")
return kernel("bad", { O = X }, { symmetry = { orthogonal = { "Z" } } })
