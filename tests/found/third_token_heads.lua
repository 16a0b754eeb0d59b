-- A sum over third tokens of several heads, whose psi2 has a number for each.
local d, k, H = 6, 3, 2
local X = tokens("X", d, "n")
local W, gamma = matrix("W", k, d, { heads = H }), scalar("gamma", { heads = H })

local g = permutation_equivariant {
    Y = W * X / 4,
    psi1 = function(yk, yi) return dot(yk, yi) end,
    rho1 = function(yi, s) return s * yi[1] end,
    psi2 = function(yk, yi, yj) return exp(-gamma * gamma * sqdist(yk, yi)) * dot(yk, yj) + dot(yi, yj) end,
    rho2 = function(yi, yj, s) return tanh(s) * yj[0] end,
}
return kernel("third_token_heads", { O = X * g / size("n") }, { grad = { "X", "W", "gamma" } })
