-- Multi-head self-attention, section 2.2 of Ma and Ying (doi 10.4208/jml.221206), the heads as an axis:
--
--     Attn_m(X) = X + sum_i W_out(i) W_V(i) X S_r(X' W_Q(i)' W_K(i) X / sqrt d1)'
--
-- Weights with heads make everything that meets them have heads; sum_heads is the sum over i. The same function with a
-- loop over the heads is multihead.lua.
local d = option("d", 64)
local d1 = option("d1", 8)                                      -- also d2, the values' size
local m = 8

local X = tokens("X", d, "n")
local WQ = matrix("WQ", d1, d, { heads = m })
local WK = matrix("WK", d1, d, { heads = m })
local WV = matrix("WV", d1, d, { heads = m })
local Wout = matrix("Wout", d, d1, { heads = m })

local scores = X:t() * WK:t() * WQ * X / sqrt(d1)               -- n x n for each head
local head = Wout * (WV * X) * softmax(scores)                  -- d x n for each head
return kernel("multihead_heads", { O = X + sum_heads(head) }, { symmetry = { permutation = { "X" } } })
