-- In a map over one row, i is 0 for every entry.
local X = tokens("X", 1, "n")
local table = vector("table", 9)
return kernel("index_of_one_row", { O = map(function(a, i, j) return a + i - j end, X),
                                    T = map(function(a, i, j) return a * table(i - j + 4) end, X) })
