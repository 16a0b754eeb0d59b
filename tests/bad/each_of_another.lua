-- expect: each_of_another.lua:7: error: cut(Y, 3) + cut(X, 3): items for m columns and for n do not meet
local X, Y, inside = tokens("X", 6, "n"), tokens("Y", 6, "m")
each(X, 3, function(T)
    inside = T
    return T
end)
return kernel("bad", { O = each(Y, 3, function(T) return T + inside end) })
