-- A scan between two attentions, which drops entries and normalises inside.
local d = 8
local X, W, g = tokens("X", d, "n"), matrix("W", d, d), vector("g", d)
local H = X * softmax(keep(causal, X:t() * X / sqrt(d)))
local Y = scan(function(s, h)
    local p = softmax(keep(function(i, j) return lt(i, 5) end, s + h))
    local nx = layer_norm(0.5 * s + W * p, g) + h
    return nx, sum(nx) * p
end, g, H)
local O = Y * softmax(keep(causal, Y:t() * X / d))
return kernel("scan_of_attention", { O = O })
