-- expect: size_names_differ.lua:3: error: A + B: 8 x n and 8 x m: sizes n and m differ
local A, B = tokens("A", 8, "n"), tokens("B", 8, "m")
return kernel("bad", { O = A + B })
