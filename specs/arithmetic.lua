-- Sums and differences of digits by an orthogonally equivariant function with knowledge, the example of section 3.2 of
-- Ma and Ying (doi 10.4208/jml.221206):
--
--     f(X, Z) = Z g(Z'X),     f("2 + 1") = "3",     f("2 - 1") = "1"
--
-- The columns of Z are the embeddings of + - 0 1 ... 9, the columns of X three tokens a, operator, b. Y = Z'X says
-- which token is which, g gives the result's embedding a coefficient of 1 and every other one 0. So f(QX, QZ) is
-- Q f(X, Z) for any orthogonal Q, while f(QX, Z) is nonsense: knowledge and question must share their embedding.
local X = tokens("X", 12, 3)
local Z = tokens("Z", 12, 12)

local Y = Z:t() * X                                             -- 12 x 3: column 0 is a, 1 the operator, 2 is b
local value = sum(map(function(y, i) return where(ge(i, 2), y * (i - 2), 0) end, Y))            -- 1 x 3: digits
local sign = sum(map(function(y, i) return where(eq(i, 0), y, where(eq(i, 1), -y, 0)) end, Y))  -- 1 x 3: + or -
local g = map(function(_, i)
    local result = value(0) + sign(1) * value(2)
    return where(ge(i, 2), relu(1 - abs(result - (i - 2))), 0)
end, sum_tokens(Y))                                             -- 12 x 1
return kernel("arithmetic", { O = Z * g }, { symmetry = { orthogonal = { "X", "Z" } } })
