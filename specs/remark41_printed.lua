-- Softmax attention in the form of Prop. 4.1, Remark 4.1 of Ma and Ying (doi 10.4208/jml.221206), as it is printed:
--
--     psi2(x, y, z) = e^s(y, x),     rho2(x, y, psi) = e^s(x, y) / (e^s(x, y) + psi),     s(x, y) = x' W_Q' W_K y
--     psi1(x, y) = psi2(x, y, y),     rho1(x, psi) = rho2(x, x, psi)
--
-- It misses the softmax by a little: psi sums over k other than i and j, so that g_ij lacks e^s(i, i) in its
-- denominator; and it normalises rows, while f = X g weighs the tokens down a column. remark41.lua puts both right.
local d = option("d", 64)
local d1 = option("d1", 4)

local X = tokens("X", d, "n")
local WQ = matrix("WQ", d1, d)
local WK = matrix("WK", d1, d)

local function s(x, y)                                          -- x and y are columns of Y: a query over a key
    local sum = 0
    for p = 0, d1 - 1 do sum = sum + x[p] * y[d1 + p] end
    return sum
end
local g = permutation_equivariant {
    Y = vcat(WQ * X, WK * X) / d1 ^ 0.25,                       -- 2 d1 x n: s is scaled by 1 / sqrt d1
    psi1 = function(yk, yi) return exp(s(yi, yk)) end,
    rho1 = function(yi, psi) return exp(s(yi, yi)) / (exp(s(yi, yi)) + psi) end,
    psi2 = function(yk, yi, yj) return exp(s(yi, yk)) end,
    rho2 = function(yi, yj, psi) return exp(s(yi, yj)) / (exp(s(yi, yj)) + psi) end,
}
return kernel("remark41_printed", { O = X * g }, { symmetry = { permutation = { "X" } } })
