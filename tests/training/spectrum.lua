-- Denoising by Primal-Attention (specs/primal.lua; arXiv:2305.19798): each token of X is to become its target, and the
-- objective J of the kernel SVD can be pulled to 0 beside it. K is the n x n kernel that the projections stand for,
-- K_ij = phi(q_j)'phi(k_i), which nothing but the look at its singular values needs. With canonical = 1 it is softmax
-- attention of the same size, whose K is its matrix of coefficients; J is 0 then.
local d, s = option("d", 16), option("s", 4)
local X, T = tokens("X", d, "n"), tokens("target", d, "n")
local WQ, WK = matrix("WQ", d, d), matrix("WK", d, d)
local We, Wr, Wc = matrix("We", d, s), matrix("Wr", d, s), matrix("Wc", d, 2 * s)
local l = vector("l", s)
local canonical = option("canonical", 0) == 1

local function projected(W)
    return canonical and W * X / d ^ 0.25 or normalize(W * X, "l2")
end
local q, k = projected(WQ), projected(WK)
local K = k:t() * q
if canonical then K = softmax(K) end
local E, R = We:t() * q, Wr:t() * k
if canonical then E, R = We:t() * X * K, Wr:t() * X * K end     -- as many values, of as many weights
local function energy(F)
    return sum(sum_tokens(map(function(f, lambda) return f * f * exp(lambda) / 2 end, F, l)))
end
local error = map(function(o, t) return (o - t) ^ 2 end, Wc * vcat(E, R), T)
return kernel("spectrum", {
    loss = sum(sum_tokens(error)) / size("n"),
    J = canonical and 0 * sum(l) or (energy(E) + energy(R) - sum(sum_tokens(hadamard(We, Wr)))) / size("n"),
    K = K,
}, { grad = { "WQ", "WK", "We", "Wr", "Wc", "l" } })
