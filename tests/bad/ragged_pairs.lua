-- expect: ragged_pairs.lua:3: error: the output O, n x n: no array holds that for items of different sizes
local K = tokens("K", 8, "n", { ragged = "starts" })
return kernel("bad", { O = K:t() * K })
