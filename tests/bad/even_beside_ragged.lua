-- expect: even_beside_ragged.lua:3: error: tokens Q: each item has a number of tokens of its own, so these are ragged too
local K = tokens("K", 8, "n", { ragged = "starts" })
local Q = tokens("Q", 8, "n")
return kernel("bad", { O = Q + K })
