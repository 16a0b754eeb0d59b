-- expect: no_such_file.lua:2: error: require: there is no file no_such_layer.lua
local layer = require "no_such_layer"
