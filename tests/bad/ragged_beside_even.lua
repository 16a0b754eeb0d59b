-- expect: ragged_beside_even.lua:3: error: tokens K: ragged, but Q of line 2 has one n for all items
local Q = tokens("Q", 8, "n")
local K = tokens("K", 8, "n", { ragged = "starts" })
return kernel("bad", { O = Q + K })
