-- expect: doubling_text.lua:3: error: the spec
local s = "x"
while true do s = s .. s end
