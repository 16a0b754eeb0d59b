-- Gaussian kernels of several widths, their widths and weights to be learned: f(X) = X g / n, g_ij = sum_t a_t
-- exp(-gamma_t |x_i - x_j|^2) with gamma_t = exp(width_t). Gaussians of all widths together make any kernel that falls
-- off as a scale mixture, such as Student's 1 / (1 + |x_i - x_j|^2). It gives f and its squared error against a target,
-- token by token.
local terms = option("terms", 4)
local X, target = tokens("X", option("d", 4), "n"), tokens("target", option("d", 4), "n")
local a, width = vector("a", terms), vector("width", terms)

local g = map(function(s)
    local sum = 0
    for t = 0, terms - 1 do sum = sum + a(t) * exp(-exp(width(t)) * s) end
    return sum
end, sqdist(X, X))
local f = X * g / size("n")
return kernel("rbf_mixture", { f = f, loss = sum(map(function(y, t) return (y - t) * (y - t) end, f, target)) })
