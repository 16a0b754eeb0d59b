-- expect: scan_states_differ.lua:3: error: scan: f gives 1 of 2 states
local X, w = tokens("X", 4, "n"), vector("w", 4)
local Y = scan(function(s, x) return { s[1] }, x end, { w, w }, X)
return kernel("bad", { Y = Y })
