-- The Averaged-Key variant of CAT (Yamada, arXiv:2504.06704): the scores come from queries and the mean of the keys, so
-- that tokens of another sequence may be attended to; 3 D^2 parameters and D^2 of the output, as standard attention
-- has.
--
--     O = V circulant(softmax(z)),     z_j = q_j'k / sqrt p,   k the mean of the k_i,   p = D / H numbers a head
local D, H = option("D", 512), option("H", 8)

local X = tokens("X", D, "n")
local WQ, WK = matrix("WQ", D // H, D, { heads = H }), matrix("WK", D // H, D, { heads = H })
local WV, WO = matrix("WV", D // H, D, { heads = H }), matrix("WO", D, D)

local z = (WQ * X):t() * (WK * mean_tokens(X)) / sqrt(D // H)
local O = WV * X * circulant(softmax(z))
return kernel("cat_averaged_key", { O = WO * concat_heads(O) }, { grad = { "X", "WQ", "WK", "WV", "WO" } })
