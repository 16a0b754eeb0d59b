-- Heads whose coefficients are different functions, eq. (5.3) of Ma and Ying (doi 10.4208/jml.221206):
--
--     f_m(X, Z, W) = sum_i W_i X g_i(Z_i'X),     g_1 softmax, g_2 tanh, g_3 an RBF, of the tokens Y_i = Z_i'X
local d = option("d", 64)
local k = option("k", 16)

local X = tokens("X", d, "n")
local Z = tokens("Z", d, k, { heads = 3 })                      -- learned vectors, or data
local W = matrix("W", d, d, { heads = 3 })

local coefficients = {
    function(Y) return softmax(Y:t() * Y / sqrt(k)) end,
    function(Y) return tanh(Y:t() * Y / k) end,
    function(Y) return rbf(Y, Y, 1 / k) end,
}
local O
for i, g in ipairs(coefficients) do
    local Y = Z[i - 1]:t() * X / sqrt(d)                        -- k x n
    local head = W[i - 1] * X * g(Y)                            -- d x n
    O = O and O + head or head
end
return kernel("heads_differ", { O = O }, { symmetry = { permutation = { "X" } } })
