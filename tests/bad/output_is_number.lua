-- expect: output_is_number.lua:3: error: the output s expects a matrix, got the number 3
local A = tokens("A", 8, "n")
return kernel("bad", { O = A, s = 3 })
