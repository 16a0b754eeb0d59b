-- psi2 that reads only numbers z[p] of one of its tokens: trying it without that token was the error of a number missing.
local X = tokens("X", 5, "n")
local c = scalar("c")
local g = permutation_equivariant {
    Y = X,
    psi1 = function(yk, yi) return dot(yk, yi) end,
    rho1 = function(yi, s) return s * yi[1] end,
    psi2 = function(yk, yi, yj) return c * yi[0]*yj[0] end,
    rho2 = function(yi, yj, s) return s end,
}
return kernel("psi_of_numbers", { O = g })
