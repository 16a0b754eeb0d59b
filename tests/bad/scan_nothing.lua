-- expect: scan_nothing.lua:3: error: scan(f, S, A, ...): A is missing
local X, w = tokens("X", 4, "n"), vector("w", 4)
local Y = scan(function(s) return s, s end, w)
return kernel("bad", { Y = Y })
