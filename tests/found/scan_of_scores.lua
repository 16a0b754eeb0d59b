-- A scan whose columns have as many rows as there are tokens, some dropped.
local X = tokens("X", 4, "n")
local S = keep(causal, X:t() * X)
local w = vector("w", 4)
local Y, last = scan(function(s, a, x) return 0.9 * s + sum(a) * x, s end, w, S, X)
return kernel("scan_of_scores", { Y = Y, last = last })
