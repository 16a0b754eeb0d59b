-- expect: ragged_vector.lua:3: error: vector b: each item has a number of tokens of its own, so these are ragged too
local K = tokens("K", 8, "n", { ragged = "starts" })
local b = vector("b", "n", { batch = true })
return kernel("bad", { O = K })
