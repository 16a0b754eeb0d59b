-- expect: each_unevenly.lua:3: error: each: 6 rows do not cut into 4 tokens
local X = tokens("X", 6, "n")
return kernel("bad", { O = each(X, 4, function(T) return T end) })
