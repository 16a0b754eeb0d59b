-- The arithmetic of Ma and Ying (doi 10.4208/jml.221206), section 3.2, with all of it to be learned:
--
--     f(X, Z) = Z g(Z'X),     f("2 + 1") = "3",     f("2 - 1") = "1"
--
-- The columns of Z are the embeddings of + - 0 1 ... 9, the columns of X three of them: a, operator, b. Y = Z'X says
-- how much each token is like each. From it, W reads a value and u a sign; g compares value(a) + sign * value(b) with
-- the values of all tokens. Tokens enter by inner products alone, so f(QX, QZ) = Q f(X, Z) for any weights.
--
-- With --set loss=1 it takes the questions and the answers as numbers of tokens and gives the cross entropy.
local d, p = option("d", 16), option("p", 8)
local Z = matrix("Z", d, 12)
local W, u, sharpness = matrix("W", p, 12), matrix("u", 1, 12), scalar("sharpness")

local learning = option("loss", 0) == 1
local X
if learning then                                                -- X = Z E, a one in each column of E
    local question = ids("question", 3, { below = 12 })
    X = Z * map(function(_, i, j) return where(eq(i, question(j)), 1, 0) end, rows(identity(12), 0, 3):t())
else
    X = tokens("X", d, 3)
end
local Y = Z:t() * X                                             -- 12 x 3
local value, sign = W * Y, u * Y                                -- p x 3, 1 x 3
local known = W * (Z:t() * Z)                                   -- p x 12
local result = map(function(_, i) return value(i, 0) + sign(0, 1) * value(i, 2) end, sum_tokens(value))
local S = -exp(sharpness) * sqdist(known, result)               -- 12 x 1

if learning then
    local answer = ids("answer", 1, { below = 12 })
    return kernel("arithmetic_loss", { loss = logsumexp(S) - S(answer(0), 0) })
end
return kernel("arithmetic", { O = Z * softmax(S) }, { symmetry = { orthogonal = { "X", "Z" } } })
