-- expect: syntax.lua:3: error: unexpected symbol near '='
local parts = require "syntax"
return parts
