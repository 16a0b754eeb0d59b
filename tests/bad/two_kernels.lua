-- expect: two_kernels.lua:4: error: a spec makes one kernel: this is the second
local A = tokens("A", 8, "n")
local first = kernel("first", { O = A })
return kernel("second", { P = A })
