-- A state larger than a block of queries and a tile of lanes.
local d = 70
local K, V = tokens("K", d, "n"), tokens("V", d, "n")
local a = vector("a", d)
local Y, S = scan(function(S, k, v)
    local nx = hadamard(S, a) / 8 + v * k:t() / d
    return nx, nx * k + S:t() * v
end, map(function() return 0 end, identity(d)), K, V)
return kernel("scan_of_matrices", { Y = Y, S = S })
