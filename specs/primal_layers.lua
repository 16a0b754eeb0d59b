-- Primal.+ of Chen et al. (NeurIPS 2023, arXiv:2305.19798): layers of softmax attention below, Primal-Attention on top,
-- each with its residual; `depth` softmax layers, H heads of p = D / H. On top the directions are data-dependent: We
-- and Wr are combinations of m = 10 s of the layer's own input tokens, at places spread evenly over the sequence (all
-- of them where there are fewer), so that with x_1 .. x_m those tokens' part of a head and A, B (m x s) weights,
--
--     E = (X_m A)' phi(Q),   R = (X_m B)' phi(K),   J = 1/2 tr(E Lambda E') + 1/2 tr(R Lambda R') - tr((X_m A)' X_m B)
--
-- per head, as in specs/primal.lua. Y is the output, J the objective of the top layer, to be squared and added to a
-- loss.
local D, H, s, depth = option("D", 64), option("H", 4), option("s", 8), option("depth", 1)
local p, m = D // H, 10 * s

local X = tokens("X", D, "n")
local function heads_of(W, A)
    return split_heads(W * A, H)
end

local Y = X
for layer = 1, depth do
    local WQ, WK = matrix("WQ" .. layer, D, D), matrix("WK" .. layer, D, D)
    local WV, WO = matrix("WV" .. layer, D, D), matrix("WO" .. layer, D, D)
    local P = softmax(heads_of(WK, Y):t() * heads_of(WQ, Y) / sqrt(p))
    Y = Y + WO * concat_heads(heads_of(WV, Y) * P)
end

local WQ, WK, WO = matrix("WQ", D, D), matrix("WK", D, D), matrix("WO", D, D)
local A, B = matrix("A", m, s, { heads = H }), matrix("B", m, s, { heads = H })
local Wc, bc = matrix("Wc", p, 2 * s, { heads = H }), vector("bc", p, { heads = H })
local l = vector("l", s, { heads = H })

local used = min(size("n"), m)                                  -- the last of m places may not be there
local chosen = keep(function(_, j) return lt(j, used) end,
                    pick(split_heads(Y, H), function(j) return j * (size("n") - 1) // max(used - 1, 1) end, m))
local We, Wr = chosen * A, chosen * B                           -- p x s
local E = We:t() * normalize(heads_of(WQ, Y), "l2")
local R = Wr:t() * normalize(heads_of(WK, Y), "l2")

local function energy(F)
    return sum(sum_tokens(map(function(f, lambda) return f * f * exp(lambda) / 2 end, F, l)))
end
local J = energy(E) + energy(R) - sum(sum_tokens(hadamard(We, Wr)))
return kernel("primal_layers", { Y = Y + WO * concat_heads(Wc * vcat(E, R) + bc), J = J },
              { grad = { "X", "WQ1", "WV1", "WQ", "WK", "WO", "A", "B", "Wc", "bc", "l" } })
