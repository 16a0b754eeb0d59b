-- A scan inside a scan.
local X, Z, w = tokens("X", 4, "n"), tokens("Z", 4, "m"), vector("w", 4)
local Y = scan(function(s, x)
    local _, t = scan(function(t, z) return tanh(t + z), t end, s, Z)
    return hadamard(t, x), t
end, w, X)
return kernel("scan_in_scan", { Y = Y })
