-- expect: scan_state_changes.lua:3: error: scan: the state is w, a matrix of 4 x 1; the next is rows(state + column, 0, 3), a matrix of 3 x 1
local X, w = tokens("X", 4, "n"), vector("w", 4)
local Y = scan(function(s, x) return rows(s + x, 0, 3), s end, w, X)
return kernel("bad", { Y = Y })
