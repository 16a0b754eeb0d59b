-- expect: identity_of_nothing.lua:3: error: identity(n): n is missing
local X, Z = tokens("X", 64, "n"), tokens("Z", 64, "m")
return kernel("bad", { O = identity() * X })
