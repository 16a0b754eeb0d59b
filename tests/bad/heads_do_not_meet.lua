-- expect: heads_do_not_meet.lua:4: error: A + B: 6 heads and 4 heads do not meet: one must divide the other
local A = tokens("A", 8, "n", { heads = 6 })
local B = tokens("B", 8, "n", { heads = 4 })
return kernel("bad", { O = A + B })
