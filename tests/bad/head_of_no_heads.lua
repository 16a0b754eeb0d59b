-- expect: head_of_no_heads.lua:3: error: X[0]: X has no heads
local X = tokens("X", 8, "n")
return kernel("bad", { O = X[0] })
