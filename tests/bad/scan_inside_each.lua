-- expect: scan_inside_each.lua:3: error: scan(sum(cut(X, 2):t()):t(), cut(X, 2) * Z): scans inside each are not available
local X, Z = tokens("X", 4, "n"), tokens("Z", 2, "m")
local Y = each(X, 2, function(T) return (scan(function(s, z) return s + T * z, z end, sum_tokens(T), Z)) end)
return kernel("bad", { Y = Y })
