-- expect: no_outputs.lua:3: error: kernel: there are no outputs
local A = tokens("A", 8, "n")
return kernel("bad", {})
