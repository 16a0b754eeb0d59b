-- expect: inplace_no_table.lua:3: error: kernel: inplace is a table, { K2 = "K" }, not
local X = tokens("X", 8, "n")
return kernel("bad", { O = -X }, { inplace = "X" })
