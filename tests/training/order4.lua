-- A coefficient matrix of order 4, eq. (3.2) of Ma and Ying (doi 10.4208/jml.221206) with K = 4, to be learned:
-- f(X) = X tanh(Y'(W1 + W2 YY' W3) Y) / n, Y = Z'X / sqrt n. It gives f and its squared error against a target, token
-- by token.
local d, k = option("d", 4), option("k", 4)
local X, target = tokens("X", d, "n"), tokens("target", d, "n")
local Z, W1, W2, W3 = matrix("Z", d, k), matrix("W1", k, k), matrix("W2", k, k), matrix("W3", k, k)

local Y = Z:t() * X / sqrt(size("n"))
local f = X * map(tanh, Y:t() * W1 * Y + Y:t() * W2 * Y * Y:t() * W3 * Y) / size("n")
return kernel("order4_fit", { f = f, loss = sum(map(function(y, t) return (y - t) * (y - t) end, f, target)) })
