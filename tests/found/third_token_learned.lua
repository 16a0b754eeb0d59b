-- A sum over third tokens whose psi2 has learned numbers and a table, reads numbers of tokens and predicates of them,
-- and one of whose tokens' entries are used twice.
local d, k = 6, 5
local X = tokens("X", d, "n")
local W = matrix("W", k, d)
local gamma, bias, T = scalar("gamma"), scalar("bias"), matrix("T", 3, 2)

local Y = W * X / 4
local g = permutation_equivariant {
    Y = Y,
    psi1 = function(yk, yi) return dot(yk, yi) end,
    rho1 = function(yi, s) return s * yi[1] end,
    psi2 = function(yk, yi, yj)
        local near = exp(-gamma * gamma * (sqdist(yk, yi) + dist1(yk, yj))) * dot(yi, yj)
        return where(lt(yk[0], yi[0]), near * sqdist(yk, yi), bias * dot(yk, yj) + T(2, 1) * sqnorm(yj) * yi[2]) + yk[3]
    end,
    rho2 = function(yi, yj, s) return tanh(s) * yj[0] end,
}
return kernel("third_token_learned", { O = X * g / size("n") }, { grad = { "X", "W", "gamma", "bias", "T" } })
