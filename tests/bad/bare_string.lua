-- expect: bare_string.lua:4: error: /: "n" is a string: size("n") is the runtime size as a number
local Q, K = tokens("Q", 64, "n"), tokens("K", 64, "m")
local S = K:t() * Q
S = S / "n"
return kernel("bad", { S = S })
