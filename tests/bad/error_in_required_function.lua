-- expect: own_error.lua:7: error: d is at most 32, not 64
local parts = require "own_error"
return parts
