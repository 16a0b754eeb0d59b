-- expect: ragged_shared.lua:3: error: tokens Q: ragged: starts says where the items' n start, and is not for m too
local K = tokens("K", 8, "n", { ragged = "starts" })
local Q = tokens("Q", 8, "m", { ragged = "starts" })
return kernel("bad", { O = K * softmax(K:t() * Q) })
