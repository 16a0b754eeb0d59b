-- expect: no_kernel.lua:3: error: the spec returns nil: it ends with return kernel(...)
local A = tokens("A", 8, "n")
local O = 2 * A
