-- expect: name_is_keyword.lua:2: error: tokens: the name double is reserved in C or C++
local A = tokens("double", 8, "n")
return kernel("bad", { O = A })
