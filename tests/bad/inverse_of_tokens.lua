-- expect: inverse_of_tokens.lua:3: error: inverse(X): 8 x n is not square
local X = tokens("X", 8, "n")
return kernel("bad", { O = inverse(X) })
