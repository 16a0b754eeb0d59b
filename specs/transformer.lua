-- A layer of a transformer as it is used, with what section 5 of Ma and Ying (doi 10.4208/jml.221206) says practice
-- adds: heads, a residual around each part, normalisation before it, and a feed-forward part on each token:
--
--     h = X + sum_i W_out(i) V_i softmax(K_i' Q_i / sqrt d1),     Q_i = W_Q(i) LN(X), and so on
--     f = h + W2 gelu(W1 LN(h) + b1) + b2
local d = option("d", 64)
local d1 = option("d1", 16)
local hidden = 4 * d
local heads = { heads = 4 }

local X = tokens("X", d, "n")
local gain1, bias1, gain2, bias2 = vector("gain1", d), vector("bias1", d), vector("gain2", d), vector("bias2", d)
local WQ, WK, WV = matrix("WQ", d1, d, heads), matrix("WK", d1, d, heads), matrix("WV", d1, d, heads)
local Wout = matrix("Wout", d, d1, heads)
local W1, W2 = matrix("W1", hidden, d), matrix("W2", d, hidden)
local b1, b2 = vector("b1", hidden), vector("b2", d)

local N = layer_norm(X, gain1, bias1, 1e-5)
local g = softmax((WK * N):t() * (WQ * N) / sqrt(d1))           -- n x n for each head
local h = X + sum_heads(Wout * (WV * N) * g)
local O = h + W2 * gelu(W1 * layer_norm(h, gain2, bias2, 1e-5) + b1) + b2
return kernel("transformer", { O = O }, { symmetry = { permutation = { "X" } } })
