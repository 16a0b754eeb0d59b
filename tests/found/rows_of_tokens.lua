-- Two copies of some rows of tokens, in panels and in columns, had one name. (TinyCC takes a struct with it twice.)
local X = tokens("X", 8, "n", { heads = 2 })
local Y = rows(X, 3, 4)
return kernel("rows_of_tokens", { O = X * softmax(Y:t() * Y), R = rows(X, 1, 6) * tanh(Y:t() * Y) })
