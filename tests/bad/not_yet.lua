-- expect: not_yet.lua:4: error: scan is not available yet
-- What the language promises for later is named.
local X = tokens("X", 4, "n")
local Y = scan(function(s, x) return s + x, s end, X, X)
