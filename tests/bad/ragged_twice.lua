-- expect: ragged_twice.lua:3: error: tokens Q: ragged: where the items' n start is in starts already
local K = tokens("K", 8, "n", { ragged = "starts" })
local Q = tokens("Q", 8, "n", { ragged = "others" })
return kernel("bad", { O = K + Q })
