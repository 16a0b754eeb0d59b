-- expect: rbf_without_gamma.lua:3: error: rbf(Z, X, gamma): gamma is missing
local X, Z = tokens("X", 64, "n"), tokens("Z", 64, "m")
return kernel("bad", { O = Z * rbf(Z, X) })
