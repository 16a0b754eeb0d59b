-- expect: name_is_no_identifier.lua:2: error: tokens: "query states" is no name: letters, digits and _, at most 63, as in C
local A = tokens("query states", 8, "n")
return kernel("bad", { O = A })
