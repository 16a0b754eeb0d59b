-- expect: endless_formula.lua:4: error: tanh(tanh(tanh(tanh(tanh(tanh(tanh(tanh(tanh(tanh(tanh(ta...: more than 10000 operations on top of one another
local X = tokens("X", 8, "n")
X = map(function(x)
    while true do x = tanh(x) end
end, X)
