-- expect: kernel_name_taken.lua:3: error: kernel: tanh is a function of C's library
local A = tokens("A", 8, "n")
return kernel("tanh", { O = A })
