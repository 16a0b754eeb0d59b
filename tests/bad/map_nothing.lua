-- expect: map_nothing.lua:6: error: map: the formula gives nil, not a number
local Q, K = tokens("Q", 64, "n"), tokens("K", 64, "m")
local S = K:t() * Q
S = map(function(s)
    local t = 1
end, S)
return kernel("bad", { S = S })
