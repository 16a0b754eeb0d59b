-- expect: scan_leaks.lua:7: error: the output O, tanh(state), is inside of scan: only what its function returns leaves it
local X, w, inside = tokens("X", 6, "n"), vector("w", 6)
scan(function(s, x)
    inside = tanh(s)
    return s + x, s
end, w, X)
return kernel("bad", { O = inside })
