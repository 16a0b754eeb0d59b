-- Bipolar self-attention of spiking networks ("Bipolar Self-attention for Spiking Transformers", NeurIPS 2025): spikes
-- -1, 0, 1 over T time steps, scores that count agreeing spikes, powers of two for weights, so that V is shifted and
-- added up.
--
--     neuron(I):  U = H + I,  S = ternary(U, threshold),  H = U (1 - |S|) / 2        (its charge H is 0 at first)
--     q, k = neuron(WQ x + bQ), neuron(WK x + bK),   V = WV x + bV,   x = neuron(X)
--     O = neuron(V P),    P = shiftmax(k'q),    each step for itself but for the neurons' charge
--
-- W and b hold the convolution and its normalisation together. All numbers but X's are fixed point: inputs and weights
-- are rounded to `bits` fraction bits, and a weight of P below 2^-shift counts nothing, so every sum is exact in single
-- precision too. Scores are products of -1, 0 and 1: popcount(m) - 2 popcount(m & (sq ^ sk)) of planes of bits, m where
-- both are not 0, which is derived, as is the exact shift of shiftmax. The steps lie along X's axis of heads.
local D, H, T = option("D", 64), option("H", 1), option("T", 4)
local threshold, bits, shift = option("threshold", 0.5), option("bits", 6), option("shift", 10)

local function fixed(A)
    return map(function(a) return round(a * 2.0 ^ bits) / 2.0 ^ bits end, A)
end
local function neuron(currents)
    return (scan(function(charge, I)
        local U = charge and charge + I or I
        local S = ternary(U, threshold)
        return map(function(u, s) return u * (1 - abs(s)) / 2 end, U, S), S
    end, nil, currents))
end
local function each_step(list, f)
    local results = {}
    for t, A in ipairs(list) do results[t] = f(A, t) end
    return results
end

local X = tokens("X", D, "n", { heads = T })
local function layer(name)
    local W, b = fixed(matrix("W" .. name, D, D)), fixed(vector("b" .. name, D))
    return function(x) return W * x + b end
end
local to_q, to_k, to_v = layer("Q"), layer("K"), layer("V")

local steps = {}
for t = 1, T do steps[t] = fixed(X[t - 1]) end
local x = neuron(steps)
local q, k, v = neuron(each_step(x, to_q)), neuron(each_step(x, to_k)), each_step(x, to_v)
local O = neuron(each_step(v, function(V, t)
    local P = shiftmax(split_heads(k[t], H):t() * split_heads(q[t], H))
    local W = map(function(p) return where(lt(p, 2.0 ^ -shift), 0, p) end, P)
    return concat_heads(split_heads(V, H) * W)
end))
return kernel("bipolar", { O = stack_heads(O) })
