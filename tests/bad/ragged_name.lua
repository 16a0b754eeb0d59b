-- expect: ragged_name.lua:2: error: tokens K: ragged expects a name, got the number 3
local K = tokens("K", 8, "n", { ragged = 3 })
return kernel("bad", { O = K })
