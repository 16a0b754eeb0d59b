-- expect: own_error.lua:7: error: d is at most 32, not 64
local Q, K = tokens("Q", 64, "n"), tokens("K", 64, "m")
local S = K:t() * Q
local function check(d)
    if d > 32 then error("d is at most 32, not " .. d, 2) end
end
check(64)
return kernel("bad", { S = S })
