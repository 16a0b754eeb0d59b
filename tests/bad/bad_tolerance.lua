-- expect: bad_tolerance.lua:3: error: kernel: tolerance is a number between 0 and 1, not the string "loose"
local X = tokens("X", 8, "n")
return kernel("bad", { O = X }, { tolerance = "loose" })
