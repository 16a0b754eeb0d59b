-- expect: inverse_runtime_size.lua:3: error: inverse(S): n x n: the size must be a number, known when the kernel is generated
local S = scores("S", "n", "n")
return kernel("bad", { O = inverse(S) })
