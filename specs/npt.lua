-- Attention between datapoints (Kossen et al., "Self-Attention Between Datapoints", arXiv:2106.02584): a table is one
-- input, n rows of d attributes, each cell embedded as e numbers, and blocks attend in turn between datapoints (a row
-- is one token of d e numbers) and between the attributes of each datapoint (d tokens of e numbers; the datapoints are
-- items of their own):
--
--     block(H) = R + W2 gelu(W1 LN(R) + b1) + b2,     R = Wres H + Wmix concat_h(V softmax(K'Q / sqrt width)),  Q, K, V of LN(H)
--
-- The first `numbers` attributes are numbers, each cell given as (value, mask bit); the last is the label, one of
-- `classes`. The value under a mask is not used. O is the logits of all labels, F what the numbers are predicted to be.
-- --set between=0 attends between attributes alone: rows then know nothing of one another. --set loss=1 gives (1 -
-- weight) cross entropy + weight squared error, each the mean over the cells to be scored.
local numbers, classes, e = option("numbers", 4), option("classes", 3), option("e", 8)
local heads, depth, between = option("heads", 2), option("depth", 2), option("between", 1)
local d = numbers + 1

local function block(H, name, width)
    local function weights(what, rows, cols) return matrix(name .. what, rows, cols) end
    local function norm(A, what)
        return layer_norm(A, vector(name .. what .. "_gain", width), vector(name .. what .. "_bias", width), 1e-12)
    end
    local X = norm(H, "LN1")
    local function split(what) return split_heads(weights(what, width, width) * X, heads) end
    local Q, K, V = split("WQ"), split("WK"), split("WV")
    local A = concat_heads(V * softmax(K:t() * Q / sqrt(width)))
    local R = weights("Wres", width, width) * H + weights("Wmix", width, width) * A
    local inner = gelu(weights("W1", 4 * width, width) * norm(R, "LN2") + vector(name .. "b1", 4 * width))
    return R + weights("W2", width, 4 * width) * inner + vector(name .. "b2", width)
end

-- Of a row's cells, as tokens of two numbers, come tokens of e; each attribute has weights of its own, a column of
-- these.
local given = tokens("given", 2 * numbers, "n")
local label, hidden = ids("label", "n", { below = classes }), ids("hidden", "n")
local value_weight, mask_weight = matrix("value_weight", e, numbers), matrix("mask_weight", e, numbers)
local cell_bias = matrix("cell_bias", e, numbers)
local embedding, hidden_label = matrix("embedding", e, classes), vector("hidden_label", e)

local cells = each(given, numbers, function(T)
    return map(function(w, u, b, value, masked) return where(gt(masked, 0.5), u, w * value) + b end,
        value_weight, mask_weight, cell_bias, rows(T, 0, 1), rows(T, 1, 1))
end)
local labels = map(function(u, h, c, i) return where(ne(h, 0), u, embedding(i, c)) end, hidden_label, hidden:t(), label:t())
local H = vcat(cells, labels)
for l = 0, depth - 1 do
    if l % 2 == 0 and between == 1 then
        H = block(H, "D" .. l .. "_", d * e)
    else
        H = each(H, d, function(T) return block(T, "A" .. l .. "_", e) end)
    end
end

local O = matrix("label_weight", classes, e) * rows(H, numbers * e, e) + vector("label_bias", classes)
local number_weight, number_bias = matrix("number_weight", e, numbers), vector("number_bias", numbers)
local F = each(rows(H, 0, numbers * e), numbers, function(T) return sum(hadamard(number_weight, T)) + number_bias:t() end)
if option("loss", 0) == 0 then return kernel("npt", { O = O, F = F }) end

local truth, scored, weight = tokens("truth", numbers, "n"), ids("scored", "n"), scalar("weight")
local selected = ids("selected", numbers, "n")
local function mean(A) return sum(sum_tokens(A)) / max(sum(sum_tokens(map(function() return 1.0 end, A))), 1) end
local right = sum(map(function(o, i, j) return where(eq(i, label(j)), o, 0) end, O))
local entropy = keep(function(_, j) return ne(scored(j), 0) end, logsumexp(O) - right)
local squares = map(function(f, t) return (f - t) * (f - t) end, F, truth)
squares = keep(function(i, j) return ne(selected(i, j), 0) end, squares)
return kernel("npt", { O = O, F = F, loss = (1 - weight) * mean(entropy) + weight * mean(squares) })
