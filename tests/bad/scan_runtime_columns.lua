-- expect: scan_runtime_columns.lua:3: error: scan walks a list, or as many columns as are known when the kernel is generated, not X, a matrix of 4 x n
local X = tokens("X", 4, "n")
return kernel("bad", { O = (scan(function(s, x) return s + x, s end, X, X)) })
