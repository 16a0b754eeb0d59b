-- Attention with dropout on its coefficients (Srivastava et al., JMLR 15, 2014; on attention: Vaswani et al., 2017),
-- the same on every run and for every order of computing: what is dropped is a hash of seed, item, head, key and query.
--
--     O = V (B o softmax(K'Q / sqrt d)) / (1 - rate),     B_ij = 1 where uniform(seed, item, head, i, j) >= rate, else 0
local d = option("d", 64)
local rate = option("rate", 0.1)

local Q = tokens("Q", d, "n", { heads = 4 })
local K = tokens("K", d, "m", { heads = 4 })
local V = tokens("V", d, "m", { heads = 4 })
local seed = count("seed")

local P = map(function(p, i, j, h, batch)
    return where(ge(uniform(seed(), batch, h, i, j), rate), p / (1 - rate), 0)
end, softmax(K:t() * Q / sqrt(d)))
return kernel("dropout", { O = V * P }, { grad = { "Q", "K", "V" } })
