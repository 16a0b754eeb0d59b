-- expect: scan_output_no_column.lua:3: error: scan: f's output is state * column:t(), a matrix of 4 x 4, not a column
local X, w = tokens("X", 4, "n"), vector("w", 4)
local Y = scan(function(s, x) return s + x, s * x:t() end, w, X)
return kernel("bad", { Y = Y })
