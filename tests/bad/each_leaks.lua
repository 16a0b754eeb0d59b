-- expect: each_leaks.lua:7: error: the output O, cut(X, 3), is inside of each: only what its function returns leaves it
local X, inside = tokens("X", 6, "n")
each(X, 3, function(T)
    inside = T
    return T
end)
return kernel("bad", { O = inside })
