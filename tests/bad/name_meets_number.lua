-- expect: name_meets_number.lua:3: error: A - B: 8 x n and 8 x 16: sizes n and 16 differ
local A, B = tokens("A", 8, "n"), tokens("B", 8, 16)
return kernel("bad", { O = A - B })
