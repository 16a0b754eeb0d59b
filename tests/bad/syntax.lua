-- expect: syntax.lua:3: error: unexpected symbol near '='
local A = tokens("A", 8, "n")
local B = = A
