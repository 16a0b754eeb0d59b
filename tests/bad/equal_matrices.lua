-- expect: equal_matrices.lua:3: error: Lua's == and ~= do not see symbols and matrices: use eq or ne
local X, Z = tokens("X", 64, "n"), tokens("Z", 64, "m")
local same = X == Z
return kernel("bad", { O = same and X or Z })
