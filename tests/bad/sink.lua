-- expect: sink.lua:4: error: softmax: the sink expects a matrix, got a table
-- A sink is a number, or a scalar or row of the language.
local X = tokens("X", 4, "n")
local P = softmax(X:t() * X, { sink = {} })
