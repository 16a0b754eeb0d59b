-- expect: endless_rep.lua:2: error: resulting string too large
local s = string.rep("x", 1e12)
