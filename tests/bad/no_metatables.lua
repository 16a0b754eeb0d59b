-- expect: no_metatables.lua:2: error: attempt to call a nil value (global 'setmetatable')
setmetatable({}, {})
