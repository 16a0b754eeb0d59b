-- expect: endless_loop.lua:3: error: the spec
local n = 0
while true do n = n + 1 end
