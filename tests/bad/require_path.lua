-- expect: require_path.lua:2: error: require expects the name of a file beside the spec, without .lua, got the string "../../specs/rbf"
local passwd = require "../../specs/rbf"
