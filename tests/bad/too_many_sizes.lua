-- expect: too_many_sizes.lua:4: error: tokens X25: more than 24 runtime sizes
local X = {}
for k = 1, 30 do
    X[k] = tokens("X" .. k, 8, "n" .. k)
end
