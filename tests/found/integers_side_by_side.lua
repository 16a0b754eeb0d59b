-- Integers that need an array of their own: side by side, as heads, computed and then looked up.
local X = tokens("X", 4, "n")
local k = ids("k", "n", { below = 8 })
local pk = ids("pk", "n", "m", { below = 8 })
local table = vector("table", 9)
local halves = map(function(a) return a // 2 end, k)
return kernel("integers_side_by_side", {
    A = map(function(a, b) return a + table(b) end, hcat(X, X), hcat(k:t(), k:t())),
    B = map(function(b, c) return table(b) + c end, vcat(vcat(k, k), k), vcat(k, vcat(k, k))),
    C = map(function(b) return table(b) end, stack_heads { pk, pk }),
    D = map(function(i) return halves(i % 3) end, pk),
})
