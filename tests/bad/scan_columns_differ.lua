-- expect: scan_columns_differ.lua:3: error: scan: X has n columns, and Z m
local X, w = tokens("X", 4, "n"), vector("w", 4)
local Y = scan(function(s, x, z) return s + x, z end, w, X, tokens("Z", 4, "m"))
return kernel("bad", { Y = Y })
