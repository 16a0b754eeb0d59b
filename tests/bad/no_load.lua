-- expect: no_load.lua:2: error: attempt to call a nil value (global 'load')
local f = load("return 1")
