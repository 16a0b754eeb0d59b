-- expect: scan_list_beside_matrix.lua:3: error: scan: a list beside a matrix that is walked by its columns
local X, w = tokens("X", 4, "n"), vector("w", 4)
local Y = scan(function(s, x, z) return s + x, z end, w, X, { w, w })
return kernel("bad", { Y = Y })
