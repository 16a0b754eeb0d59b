-- expect: no_random.lua:2: error: attempt to call a nil value (field 'random')
local x = math.random()
