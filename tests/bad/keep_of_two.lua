-- expect: keep_of_two.lua:3: error: keep expects a function and a matrix: X, a matrix of 64 x n is one too many
local X, Z = tokens("X", 64, "n"), tokens("Z", 64, "m")
return kernel("bad", { O = keep(causal, X, X) })
