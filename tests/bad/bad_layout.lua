-- expect: bad_layout.lua:2: error: tokens A: layout is "token" or "head", not the string "batch"
local A = tokens("A", 8, "n", { layout = "batch" })
return kernel("bad", { O = A })
