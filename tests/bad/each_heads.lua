-- expect: each_heads.lua:3: error: each: the matrix has heads: concat_heads first
local X = tokens("X", 6, "n", { heads = 2 })
return kernel("bad", { O = each(X, 3, function(T) return T end) })
