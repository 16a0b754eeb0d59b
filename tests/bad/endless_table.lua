-- expect: endless_table.lua:3: error: the spec
local t = {}
for k = 1, 1e12 do t[k] = k end
