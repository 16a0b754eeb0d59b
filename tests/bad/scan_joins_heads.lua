-- expect: scan_joins_heads.lua:3: error: scan: concat_heads(w + state) inside f: f works on one head at a time
local X, w = tokens("X", 4, "n", { heads = 2 }), matrix("w", 4, 1, { heads = 2 })
local Y = scan(function(s, x) return s + x, concat_heads(w + s) end, w, X)
return kernel("bad", { Y = Y })
