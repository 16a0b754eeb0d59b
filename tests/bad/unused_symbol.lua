-- expect: unused_symbol.lua:5: error: i - j is computed here but not used in the formula's result: Lua's and, or, not, if and == do not see symbols; eq, where, & | ~ do
local Q, K = tokens("Q", 64, "n"), tokens("K", 64, "m")
local S = K:t() * Q
S = map(function(s, i, j)
    local distance = abs(i - j)
    return 2 * s
end, S)
return kernel("bad", { S = S })
