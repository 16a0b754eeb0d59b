-- Single-head self-attention, eq. (2.1) of Ma and Ying, "Why Self-Attention is Natural" (doi 10.4208/jml.221206):
--
--     Attn(X) = X + W_V X S_r(X' W_Q' W_K X / sqrt d1)'
--
-- S_r is the softmax over rows. Its transpose is the softmax down the columns of the transposed scores X' W_K' W_Q X,
-- which is how it is written here: row i is a key, column j a query.
local d = option("d", 64)
local d1 = option("d1", 64)

local X = tokens("X", d, "n")
local WQ = matrix("WQ", d1, d)
local WK = matrix("WK", d1, d)
local WV = matrix("WV", d, d)

local scores = X:t() * WK:t() * WQ * X / sqrt(d1)               -- n x n
return kernel("attention", { O = X + WV * X * softmax(scores) }, { symmetry = { permutation = { "X" } } })
