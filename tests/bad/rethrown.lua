-- expect: rethrown.lua:5: error: K * Q: 64 x m times 64 x n: inner sizes m and 64 differ
local Q, K = tokens("Q", 64, "n"), tokens("K", 64, "m")
local S = K:t() * Q
local fine, message = pcall(function()
    return K * Q
end)
if not fine then error(message, 0) end
return kernel("bad", { S = S })
