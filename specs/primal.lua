-- Primal-Attention (Chen, Tao, Tonin and Suykens, "Primal-Attention: Self-attention through Asymmetric Kernel SVD in
-- Primal Representation", NeurIPS 2023, arXiv:2305.19798): two projections of feature maps in place of the n x n
-- matrix, so memory and time are linear in the tokens.
--
--     E = We' phi(Q),   R = Wr' phi(K),   O = Wc [E; R] + bc,     phi(x) = x / |x|,   s rows of E and R
--     J = 1/2 tr(E Lambda E') + 1/2 tr(R Lambda R') - tr(We' Wr)
--
-- The directions We, Wr (d x s) are those of the asymmetric kernel SVD of phi(K)' phi(Q) where J is stationary, and J
-- is 0 there; training adds eta J^2 to its loss. Lambda = diag(exp(l)) has a positive diagonal. This is the
-- data-independent mode: We and Wr are weights; specs/primal_layers.lua has the other. That J is 0 at the SVD, and its
-- gradients, dWe = phi(Q) E' Lambda - Wr and so on, are derived: tests/primal.py and `gram check` compare with an SVD
-- and with differences.
--
-- causal = 1: queries and keys are first replaced by their means over the tokens up to their own, as the paper does.
-- reference = 1: J as the authors' code has it, with Lambda = diag(l) inside the square and the mean over tokens in
-- place of the sum: it is not 0 at the SVD.
local d, s = option("d", 64), option("s", 30)
local is_causal, is_reference = option("causal", 0) == 1, option("reference", 0) == 1

local Q = tokens("Q", d, "n", { heads = 4 })
local K = tokens("K", d, "n", { heads = 4 })
local We, Wr = matrix("We", d, s, { heads = 4 }), matrix("Wr", d, s, { heads = 4 })
local Wc, bc = matrix("Wc", d, 2 * s, { heads = 4 }), vector("bc", d, { heads = 4 })
local l = vector("l", s, { heads = 4 })                         -- log of Lambda's diagonal

local function features(X)
    if is_causal then X = map(function(x, _, j) return x / (j + 1) end, cumsum(X)) end
    return normalize(X, "l2")
end
local E, R = We:t() * features(Q), Wr:t() * features(K)

local function total(A)
    return sum(sum_tokens(A))
end
local function weighted(A)
    local n = size("n")
    return map(function(a, lambda)
        return is_reference and (a * lambda) ^ 2 / (2 * n) or a * a * exp(lambda) / 2
    end, A, l)
end
local J = total(weighted(E)) + total(weighted(R)) - total(hadamard(We, Wr))
return kernel("primal", { O = Wc * vcat(E, R) + bc, E = E, R = R, J = J },
              { grad = { "Q", "K", "We", "Wr", "Wc", "bc", "l" } })
