-- expect: output_is_input.lua:3: error: the output A: the name is already the input of line 2
local A = tokens("A", 8, "n")
return kernel("bad", { A = -A })
