-- A gradient whose formula over a stream's sums stands in two places: the second was read from the first, before that was
-- there, because its own root counted as shared.
local X1 = tokens("X1", 17, "n", { heads = 1 })
local X2 = tokens("X2", 16, "m")
local W3 = matrix("W3", 17, 16)
local T4 = W3 * X2
local P5 = T4:t() * X1 / sqrt(17)
local P6 = P5:t()
local X8 = tokens("X8", 5, "n", { heads = 1 })
local T9 = (X8 * P6) / 16
local X10 = tokens("X10", 17, "n", { heads = 1 })
local X11 = tokens("X11", 17, "m", { layout = "token" })
local P12 = cosine(X11, X10)
local X17 = tokens("X17", 65, "n", { heads = 1 })
local W18 = matrix("W18", 5, 65)
local T19 = W18 * X17
local P20 = sqdist(T19, T9) / 10
local P21 = (P20 * P12) / (1 + size("m"))
return kernel("epilogue_shared", { O0 = X10 * P21 })
