-- A sum and what is made of it in its epilogue share a product, which the sum alone seemed to need: the epilogue made
-- it again, where there are no products.
local X1 = tokens("X1", 5, "n")
local T2 = rms_norm(X1, nil, 0.01)
local W4 = matrix("W4", 5, 5)
local T5 = W4 * T2
local P6 = cosine(T5, T2)
local r7 = tanh(sum(P6) / 8)
local P8 = map(function(a, b, i, j, h, batch, rows, cols) return min(log1p(abs(b)), a) end, P6, r7)
return kernel("product_in_an_epilogue", { O0 = X1 * P8 })
