-- expect: each_runtime_rows.lua:3: error: each: the number of rows is known only when the kernel runs
local X = tokens("X", 6, "n")
return kernel("bad", { O = each(X:t() * X, 3, function(T) return T end) })
