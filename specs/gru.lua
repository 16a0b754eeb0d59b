-- A gated recurrent unit (Cho et al., arXiv:1406.1078, eqs. (5)-(8)) over tokens: attention's companion that remembers
-- in a vector. From h_0 on, for each token x in turn,
--
--     z = sigmoid(Wz x + Uz h + bz)            what stays
--     r = sigmoid(Wr x + Ur h + br)            what is looked back at
--     h' = z h + (1 - z) tanh(Wh x + Uh (r h) + bh)
--
-- H has the h' side by side; `last`, the one after the last token, is h0 of a text that goes on. W X is one product for
-- all tokens; only what depends on h is done token by token.
local d = option("d", 64)

local X = tokens("X", d, "n")
local h0 = vector("h0", d, { batch = true })
local Wz, Uz, bz = matrix("Wz", d, d), matrix("Uz", d, d), vector("bz", d)
local Wr, Ur, br = matrix("Wr", d, d), matrix("Ur", d, d), vector("br", d)
local Wh, Uh, bh = matrix("Wh", d, d), matrix("Uh", d, d), vector("bh", d)

local H, last = scan(function(h, x)
    local z = sigmoid(Wz * x + Uz * h + bz)
    local r = sigmoid(Wr * x + Ur * h + br)
    local candidate = tanh(Wh * x + Uh * hadamard(r, h) + bh)
    local after = hadamard(z, h) + hadamard(1 - z, candidate)
    return after, after
end, h0, X)

return kernel("gru", { H = H, last = last })
