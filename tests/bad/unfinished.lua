-- expect: unfinished.lua:4: error: '}' expected (to close '{' at line 2) near <eof>
local A = {
    1, 2
