-- expect: scan_state_of_tokens.lua:3: error: scan: the state is X, a matrix of 4 x n: its sizes are numbers
local X, w = tokens("X", 4, "n"), vector("w", 4)
local Y = scan(function(s, x) return s, x end, X, X)
return kernel("bad", { Y = Y })
