-- expect: swallowed_by_and.lua:5: error: the predicate le(i, j) is computed here but missing from the formula's result: Lua's and, or, not, if and == do not see symbols; & | ~ and where do
local Q, K = tokens("Q", 64, "n"), tokens("K", 64, "m")
local S = K:t() * Q
S = keep(function(i, j)
    return le(i, j)
        and le(j, i + 4)
end, S)
return kernel("bad", { S = S })
