-- expect: each_heads_left.lua:3: error: each: what f returns has heads: concat_heads first
local X, W = tokens("X", 6, "n"), matrix("W", 2, 2, { heads = 2 })
return kernel("bad", { O = each(X, 3, function(T) return W * T end) })
