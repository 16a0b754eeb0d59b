-- Inverses, distances and single entries inside a scan; a captured product.
local K = tokens("K", 3, "n")
local T = matrix("T", 3, 7)
local Y, P = scan(function(P, k)
    local g = P * k / (1 + k:t() * P * k)
    local nx = P - g * (k:t() * P)
    return nx, g + T * exp(-sqdist(T, g))  + inverse(nx + identity(3)) * k + map(function(x, i) return x * T(i, 2) end, k)
end, identity(3), K)
return kernel("scan_of_inverses", { Y = Y, P = P })
