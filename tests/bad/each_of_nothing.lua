-- expect: each_of_nothing.lua:3: error: each: what f returns is the same for every column
local X = tokens("X", 6, "n")
return kernel("bad", { O = each(X, 3, function(T) return identity(3) end) })
