-- expect: unknown_size.lua:3: error: the size m is that of no input, so it cannot be known
local A = tokens("A", 8, "n")
return kernel("bad", { O = A / size("m") })
