-- expect: unknown_option.lua:2: error: tokens A has no option head: there are heads layout ragged key
local A = tokens("A", 8, "n", { head = 4 })
return kernel("bad", { O = A })
