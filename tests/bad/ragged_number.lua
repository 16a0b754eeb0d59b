-- expect: ragged_number.lua:2: error: tokens K: ragged: the number of tokens is a name, and they are of a known size
local K = tokens("K", 8, 4, { ragged = "starts" })
return kernel("bad", { O = K })
