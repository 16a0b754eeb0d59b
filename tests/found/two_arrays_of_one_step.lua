-- Two sums of one stream stood in one array: what a step makes may take the place of what it reads, not of what it
-- makes too.
local X, Z, V = tokens("X", 1, "n", { heads = 2 }), tokens("Z", 1, "m"), tokens("V", 1, "n")
local W, U = matrix("W", 1, 1, { heads = 2 }), matrix("U", 1, 1, { heads = 4 })
local Y = X * map(function(a) return 1 - a end, X:t() * X)
local P = keep(function(i, j) return le(i, j + 1) end, Y:t() * W * Z)
return kernel("two_arrays_of_one_step", { O = X * P, R = V * P + U * Z })
