-- expect: endless_match.lua:3: error: the spec
local s = string.rep("a", 5000)
return s:find(string.rep("a*", 20) .. "b")
