-- expect: requires_itself.lua:2: error: require: requires_itself.lua requires itself
local parts = require "requires_itself"
return parts
