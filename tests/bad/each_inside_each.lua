-- expect: each_inside_each.lua:3: error: each inside each is not available
local X = tokens("X", 6, "n")
local function halves(T) return each(T, 2, function(U) return U end) end
return kernel("bad", { O = each(X, 3, halves) })
