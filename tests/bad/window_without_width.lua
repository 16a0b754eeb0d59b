-- expect: window_without_width.lua:3: error: window(before, after): before is missing
local X, Z = tokens("X", 64, "n"), tokens("Z", 64, "m")
return kernel("bad", { O = keep(window(), X) })
