-- Scores, a softmax down each column, values: one stream.
local Q, K, V = tokens("Q", 4, "n"), tokens("K", 4, "m"), tokens("V", 3, "m")
return kernel("attention", { O = V * softmax(K:t() * Q / 2) })
