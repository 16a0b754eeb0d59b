-- The arithmetic of Ma and Ying, section 3.2, learned from 70% of its expressions by kernels of gram.
--
--     LUA_CPATH='build/?.so' lua5.4 tests/training/arithmetic.lua [SEED]
--
-- There are 110 expressions a + b and a - b whose result is a digit. Of each operator's, 30% are held out. The
-- embeddings Z and the weights of the coefficients are learned by Adam from a random start; the formula is in
-- digits.lua. The status is 0 where every held-out expression is answered right, and f(QX, QZ) = Q f(X, Z) for random
-- orthogonal Q.
local folder = arg[0]:match("^(.*)/") or "."
package.path = folder .. "/?.lua;" .. package.path
local gram, show = require "gram", require "show"

local STEPS, RATE, D = 1000, 0.02, 16
local NAMES = { [0] = "+", "-", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9" }
local seed = math.tointeger(arg[1] or 0)
math.randomseed(seed)

-- { token of a, operator, b, result }: those to learn from, and those held out.
local function expressions()
    local learned, held_out = {}, {}
    for operator, sign in ipairs { 1, -1 } do
        local all = {}
        for a = 0, 9 do
            for b = 0, 9 do
                local c = a + sign * b
                if c >= 0 and c <= 9 then table.insert(all, math.random(#all + 1), { 2 + a, operator - 1, 2 + b, 2 + c }) end
            end
        end
        local cut = math.floor(0.3 * #all + 0.5)
        for i, row in ipairs(all) do table.insert(i <= cut and held_out or learned, row) end
    end
    return learned, held_out
end

-- What a table may look up: some of the question, its digits in either order or not.
local KEYS = {
    ["a operator b"] = function(a, operator, b) return a .. " " .. operator .. " " .. b end,
    ["{a, b} operator"] = function(a, operator, b) return math.min(a, b) .. " " .. math.max(a, b) .. " " .. operator end,
    ["a operator"] = function(a, operator) return a .. " " .. operator end,
    ["operator b"] = function(_, operator, b) return operator .. " " .. b end,
    ["a b"] = function(a, _, b) return a .. " " .. b end,
    ["operator"] = function(_, operator) return operator end,
}

-- The most frequent answer for each key, and the share of held-out expressions that it gets right.
local function score_of(key, learned, held_out)
    local count, guess, right = {}, {}, 0
    for _, row in ipairs(learned) do
        local k = key(row[1], row[2], row[3])
        count[k] = count[k] or {}
        count[k][row[4]] = (count[k][row[4]] or 0) + 1
        if count[k][row[4]] > (count[k][guess[k]] or 0) then guess[k] = row[4] end
    end
    for _, row in ipairs(held_out) do right = right + (guess[key(row[1], row[2], row[3])] == row[4] and 1 or 0) end
    return right / #held_out
end

local function best_table(learned, held_out)
    local best, name = -1, nil
    for what, key in pairs(KEYS) do
        local score = score_of(key, learned, held_out)
        if score > best or (score == best and what < name) then best, name = score, what end
    end
    return name, best
end

local f, loss = gram.load(folder .. "/digits.lua", { threads = 1 }), gram.load(folder .. "/digits.lua", { threads = 1, set = { loss = 1 } })
local turn = gram.load({ text = ('local d = %d\nreturn kernel("turn", { Y = matrix("Q", d, d) * tokens("X", d, "n") })'):format(D) })

-- ---- learning ----

local function adam_step(weights, gradients, state, step, rate)
    for name, w in pairs(weights) do
        local g, s = gradients[name], state[name] or { mean = 0 * w, square = 0 * w }
        s.mean = 0.9 * s.mean + 0.1 * g
        s.square = 0.999 * s.square + 0.001 * (g * g)
        w:add(s.mean / (1 - 0.9 ^ step) / ((s.square / (1 - 0.999 ^ step)):sqrt() + 1e-8), -rate)
        state[name] = s
    end
end

-- Weights from a random start, and the losses on the way. Where the signs of + and - start alike they may stay so: a
-- start that has not got below a loss of 1 after a quarter of the steps is given up, and another one taken.
local function learn(learned, start)
    local question, answer = {}, {}
    for i, row in ipairs(learned) do
        table.move(row, 1, 3, 3 * i - 2, question)
        answer[i] = row[4]
    end
    local given = { question = gram.tensor({ #learned, 3 }, question, "i4"), answer = gram.tensor({ #learned, 1 }, answer, "i4") }
    given.Z, given.W = 0.3 * gram.normal({ D, 12 }, start), 0.3 * gram.normal({ 8, 12 }, start + 1)
    given.u, given.sharpness = 0.3 * gram.normal({ 1, 12 }, start + 2), 0.3 * gram.normal({}, start + 3)
    local weights = { Z = given.Z, W = given.W, u = given.u, sharpness = given.sharpness }
    local losses, state = {}, {}
    for step = 1, STEPS do
        given.dloss = nil
        losses[step] = loss(given).loss:mean()
        if step == STEPS // 4 and losses[step] > 1 then return learn(learned, start + 4) end
        given.dloss = gram.zeros({ #learned }) + 1 / #learned
        adam_step(weights, loss:grad(given), state, step, RATE * math.min(1, 2 * (1 - (step - 1) / STEPS)))
        show.progress(step, STEPS, ("loss %.2e"):format(losses[step]))
    end
    return weights, losses
end

-- ---- what was learned ----

-- The questions' tokens, columns of Z.
local function tokens_of(Z, rows)
    local X = gram.zeros({ #rows, 3, D })
    for i, row in ipairs(rows) do
        for k = 1, 3 do X[{ i, k }] = Z[{ {}, row[k] + 1 }] end
    end
    return X
end

-- f(X, Z), a row of D numbers each.
local function apply(weights, X)
    local O = f({ X = X, Z = weights.Z, W = weights.W, u = weights.u, sharpness = weights.sharpness }).O
    return O:reshape({ X:shape()[1], D })
end

-- How many answers are right: the token whose embedding is nearest to f(X, Z).
local function right_answers(weights, rows)
    local O, right = apply(weights, tokens_of(weights.Z, rows)), 0
    local Z = weights.Z:transpose()
    for i, row in ipairs(rows) do
        local best, nearest = math.huge, nil
        for token = 0, 11 do
            local off = Z[token + 1] - O[i]
            local distance = (off * off):sum()
            if distance < best then best, nearest = distance, token end
        end
        right = right + (nearest == row[4] and 1 or 0)
        if nearest ~= row[4] then print("wrong:", NAMES[row[1]], NAMES[row[2]], NAMES[row[3]]) end
    end
    return right / #rows
end

-- A product of reflections across random planes.
local function random_orthogonal(start)
    local Q = gram.zeros({ D, D })
    for i = 1, D do Q[{ i, i }] = 1 end
    for k = 1, D do
        local v = gram.normal({ D, 1 }, start + k)
        local along = (v * Q):sum(1) * (2 / (v * v):sum())
        Q = Q - v * along:reshape({ 1, D })
    end
    return Q
end

-- The largest |f(QX, QZ) - Q f(X, Z)| over ten random Q, relative to f's largest entry.
local function equivariance(weights, rows)
    local X, worst = tokens_of(weights.Z, rows), 0
    local plain = apply(weights, X)
    for k = 1, 10 do
        local Q = random_orthogonal(1000 * k)
        local turned = { W = weights.W, u = weights.u, sharpness = weights.sharpness }
        turned.Z = turn({ Q = Q, X = weights.Z:transpose() }).Y:transpose()
        local got = apply(turned, turn({ Q = Q, X = X }).Y)
        worst = math.max(worst, (got - turn({ Q = Q, X = plain }).Y):abs():max() / plain:abs():max())
    end
    return worst
end

local learned, held_out = expressions()
local weights, losses = learn(learned, 100 * seed + 1)
show.curve(losses, "loss")
local seen, right, off = right_answers(weights, learned), right_answers(weights, held_out), equivariance(weights, held_out)
local what, score = best_table(learned, held_out)
print(("expressions learned from  %6.1f%% right"):format(100 * seen))
print(("expressions held out      %6.1f%% right   (the best table, by %s: %.1f%%)"):format(100 * right, what, 100 * score))
print(("f(QX, QZ) = Q f(X, Z)     off by %.1e"):format(off))
os.exit(right == 1 and off < 1e-4)
