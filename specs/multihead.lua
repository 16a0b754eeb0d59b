-- Multi-head self-attention, section 2.2 of Ma and Ying (doi 10.4208/jml.221206), head by head as it is printed:
--
--     Attn_m(X) = X + sum_i W_out(i) W_V(i) X S_r(X' W_Q(i)' W_K(i) X / sqrt d1)'
--
-- The same function with the heads as an axis is multihead_heads.lua; both plan to the same work.
local d = option("d", 64)
local d1 = option("d1", 8)                                      -- also d2, the values' size
local m = 8

local X = tokens("X", d, "n")
local WQ = matrix("WQ", d1, d, { heads = m })
local WK = matrix("WK", d1, d, { heads = m })
local WV = matrix("WV", d1, d, { heads = m })
local Wout = matrix("Wout", d, d1, { heads = m })

local O = X
for h = 0, m - 1 do
    local scores = X:t() * WK[h]:t() * WQ[h] * X / sqrt(d1)     -- n x n: row i is a key, column j a query
    O = O + Wout[h] * (WV[h] * X) * softmax(scores)
end
return kernel("multihead", { O = O }, { symmetry = { permutation = { "X" } } })
