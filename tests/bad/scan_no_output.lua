-- expect: scan_no_output.lua:3: error: scan: f gives the next state and an output
local X, w = tokens("X", 4, "n"), vector("w", 4)
local Y = scan(function(s, x) return s + x end, w, X)
return kernel("bad", { Y = Y })
