-- expect: endless_pcall.lua:3: error: the spec
while true do
    pcall(function() while true do end end)
end
