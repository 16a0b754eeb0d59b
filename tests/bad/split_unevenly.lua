-- expect: split_unevenly.lua:3: error: split_heads(X, 4): 10 rows do not split into 4 heads
local X = tokens("X", 10, "n")
return kernel("bad", { O = split_heads(X, 4) })
