-- expect: ids_by_two.lua:5: error: doc is n x 1: an entry is read by one index, not by 2
local X, Z = tokens("X", 64, "n"), tokens("Z", 64, "m")
local doc = ids("doc", "n")
local S = X:t() * X
S = keep(function(i, j) return eq(doc(i, i), doc(j, j)) end, S)
return kernel("bad", { S = S })
