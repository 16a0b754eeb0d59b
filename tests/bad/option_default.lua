-- expect: option_default.lua:2: error: option expects a name and a default number, got the string "d" and the string "64"
local d = option("d", "64")
return kernel("bad", { O = tokens("A", d, "n") })
