-- expect: swallowed_by_branch.lua:5: error: the predicate lt(i, j) is computed here but missing from the formula's result: Lua's and, or, not, if and == do not see symbols; & | ~ and where do
local Q, K = tokens("Q", 64, "n"), tokens("K", 64, "m")
local S = K:t() * Q
S = map(function(s, i, j)
    if lt(i, j) then return s end
    return where(lt(i, j), 1, s)
end, S)
return kernel("bad", { S = S })
