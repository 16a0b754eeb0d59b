-- expect: endless_sum.lua:3: error: ... + ... + (... + ...) + (... + ... + (... + ...)) + (.....: more than 10000 operations on top of one another
local X = tokens("X", 8, "n")
while true do X = X + X end
