-- The language's own library, written in the language: a spec could define any of this itself. `core` holds the few
-- functions that C gives (trace_*.c); everything is added to `env`, the globals of a spec. An error here is seen from
-- the spec's line. Matrices have a token in each column; in a pair matrix row i is a key, column j a query.
local core, env = ...
local node, fail = core.node, core.fail
local exp, exp2, log, sqrt, rsqrt, abs, cos, sin, tanh = exp, exp2, log, sqrt, rsqrt, abs, cos, sin, tanh
local sigmoid, sign, hash, huge = sigmoid, sign, hash, math.huge
local le, lt, eq, ne, where, min, max = le, lt, eq, ne, where, min, max
local map, keep, size = core.map, core.keep, core.size
local type, select, ipairs, pairs, unpack, pcall = type, select, ipairs, pairs, table.unpack, pcall

env.map, env.keep, env.size, env.option, env.kernel = map, keep, size, core.option, core.kernel

-- ---- declarations ----

for _, kind in ipairs { "tokens", "scores", "matrix", "vector", "scalar", "ids", "count" } do
    env[kind] = function(name, ...) return core.declare(kind, name, ...) end
end

-- ---- checks of arguments ----

local function check_matrix(A, what)
    if not core.is_matrix(A) then fail(what .. " expects a matrix, got " .. core.describe(A)) end
    return A
end

local function check_function(f, what)
    if type(f) ~= "function" then fail(what .. " expects a function, got " .. core.describe(f)) end
    return f
end

local function check_number(x, what)
    if type(x) ~= "number" then fail(what .. " expects a number, got " .. core.describe(x)) end
    return x
end

-- An argument that may be a number or a symbol, but has to be there.
local function check_given(x, what)
    if x == nil then fail(what .. " is missing") end
    return x
end

local function check_whole(x, least, what)
    if type(x) ~= "number" or x % 1 ~= 0 or x < least then
        fail(what .. " expects a whole number from " .. least .. ", got " .. core.describe(x))
    end
    return x // 1
end

-- The options in a table, by the names there are.
local function check_options(options, what, names)
    if options == nil then return {} end
    if type(options) ~= "table" then fail(what .. ": options are a table, got " .. core.describe(options)) end
    for name in pairs(options) do
        if not names[name] then fail(what .. " has no option " .. core.describe(name)) end
    end
    return options
end

local function no_more(what, ...)
    local extra = ...
    if extra ~= nil then fail(what .. ": the argument " .. core.describe(extra) .. " is one too many") end
end

-- ---- scalars ----

function env.gt(a, b) return lt(b, a) end
function env.clamp(x, low, high) return min(max(x, low), high) end
local function ge(a, b) return le(b, a) end
env.ge = ge

-- x^p for a whole p >= 0, by squaring: exact for negative x.
local function whole_power(x, p)
    local result
    while p > 0 do
        if p % 2 == 1 then result = result and result * x or x end
        p = p // 2
        if p > 0 then x = x * x end
    end
    return result or 1.0
end

-- A number in [0, 1) that its integers decide, whatever the order in which entries are made: 24 bits of their hash.
function env.uniform(seed, ...)
    local mixed = hash(check_given(seed, "uniform(seed, ...): the seed"), 0)
    for k = 1, select("#", ...) do mixed = hash(mixed, (select(k, ...))) end
    return (mixed % 0x1000000) / 0x1000000
end

-- ---- matrices ----

for _, name in ipairs { "inverse", "expm", "logsumexp", "cumsum", "concat_heads", "sum_heads" } do
    env[name] = function(A, ...)
        no_more(name, ...)
        return node(name, nil, A)
    end
end

-- Down each column.
function env.sum(A, ...)
    no_more("sum", ...)
    return node("sum", nil, A)
end

-- A sink s joins the sum: of exp(lse) and exp(s), the column's part is sigmoid(lse - s).
function env.softmax(A, options)
    local sink = check_options(options, "softmax", { sink = true }).sink
    local P = node("softmax", nil, A)
    if sink == nil then return P end
    if type(sink) == "number" then sink = core.constant(sink) end
    local share = map(function(lse, s)
        return where(eq(lse, -huge), 0, sigmoid(lse - s))
    end, node("logsumexp", nil, A), check_matrix(sink, "softmax: the sink"))
    return map(function(p, part) return p * part end, P, share)
end

-- 2^(a - ceil(log2 of the sum of 2^a)) down each column: powers of two where A is of integers, between 1/2 and 1 in
-- all.
function env.shiftmax(A, ...)
    no_more("shiftmax", ...)
    return map(function(a, g) return where(eq(g, -huge), 0, exp2(a - g)) end, A, node("log2_ceil", nil, A))
end

-- Each column's k largest entries, of equal ones those of lower rows.
function env.top(A, k)
    if type(k) == "number" then check_whole(k, 0, "top(A, k): k") end
    local T = node("top", { from = check_given(k, "top(A, k): k") }, A)
    return keep(function(i, j) return ne(T(i, j), 0) end, A)
end

-- A, with the gradient of B.
function env.surrogate(A, B)
    return node("surrogate", nil, A, B)
end

-- sign(a) where |a| reaches the threshold t, else 0. Its derivative is 0, or with a surrogate the ramp's of that width
-- around t and -t.
function env.ternary(A, t, options)
    check_given(t, "ternary(A, t): t")
    local width = check_options(options, "ternary", { surrogate = true }).surrogate
    local S = map(function(a) return where(le(t, abs(a)), sign(a), 0) end, A)
    if width == nil then return S end
    local half = check_number(width, "ternary: surrogate") / 2
    return env.surrogate(S, map(function(a)
        return (max(min(a - t, half), -half) + max(min(a + t, half), -half)) / (2 * half)
    end, A))
end

local function hadamard(A, B)
    check_matrix(A, "hadamard")
    check_matrix(B, "hadamard")
    return map(function(a, b) return a * b end, A, B)
end
env.hadamard = hadamard

function env.diag(v)
    return node("diag", nil, v)
end

function env.circulant(w)
    return node("circulant", nil, w)
end

function env.identity(n)
    check_given(n, "identity(n): n")
    return node("identity", { rows = n })
end

local function fold(name)
    return function(A, ...)
        check_matrix(A, name)
        for k = 1, select("#", ...) do A = node(name, nil, A, (select(k, ...))) end
        return A
    end
end
env.hcat, env.vcat = fold("hcat"), fold("vcat")

-- ---- scans ----

-- Up to so many columns, if their number is known, f is called for each; else once, for all.
local most_steps = 16

-- What scan calls f for each of: a list as it is, a matrix by its columns.
local function steps_of(A)
    if not core.is_matrix(A) then return A end
    local steps, turned = {}, A:t()
    for t = 1, core.cols(A, "scan") do steps[t] = node("rows", { from = t - 1, rows = 1 }, turned):t() end
    return steps
end

local function scan_steps(f, S, sources)
    local outputs, steps = {}, {}
    for k, A in ipairs(sources) do
        steps[k] = steps_of(A)
        if #steps[k] ~= #steps[1] then
            fail("scan: " .. #steps[1] .. " steps of the first, " .. #steps[k] .. " of another")
        end
    end
    if #steps[1] == 0 then fail("scan: there are no steps") end
    for t = 1, #steps[1] do
        local step = {}
        for k, source in ipairs(steps) do step[k] = source[t] end
        S, outputs[t] = f(S, unpack(step))
        if outputs[t] == nil then fail("scan: f gives the next state and an output") end
    end
    return core.is_matrix(sources[1]) and env.hcat(unpack(outputs)) or outputs, S
end

-- A matrix, or the matrices of a list.
local function matrices_of(S, what)
    if core.is_matrix(S) then return { S } end
    if type(S) ~= "table" or #S == 0 then fail(what .. " is a matrix or a list of them, not " .. core.describe(S)) end
    for _, A in ipairs(S) do check_matrix(A, what) end
    return S
end

local function shape_of(A) return core.rows(A, "scan"), core.cols(A, "scan") end

local function check_next(before, after)
    local rows, cols = shape_of(before)
    local next_rows, next_cols = shape_of(after)
    if rows ~= next_rows or cols ~= next_cols then
        fail("scan: the state is " .. core.describe(before) .. "; the next is " .. core.describe(after))
    end
end

-- f is called once, with what stands in for the state and for a column of each matrix.
local function scan_columns(f, S, sources)
    local states = matrices_of(S, "scan: the state")
    local state_ins, column_ins = {}, {}
    for k, A in ipairs(states) do
        local rows, cols = shape_of(A)
        if type(rows) ~= "number" or type(cols) ~= "number" then
            fail("scan: the state is " .. core.describe(A) .. ": its sizes are numbers")
        end
        state_ins[k] = core.stand_in(A)
    end
    for k, A in ipairs(sources) do
        if not core.is_matrix(A) then fail("scan: a list beside a matrix that is walked by its columns") end
        column_ins[k] = core.stand_in(A, true)
    end
    local after, output = f(core.is_matrix(S) and state_ins[1] or state_ins, unpack(column_ins))
    if output == nil then fail("scan: f gives the next state and an output") end
    local results, outputs = {}, matrices_of(output, "scan: f's output")
    for k, A in ipairs(matrices_of(after, "scan: f's next state")) do results[k] = A end
    if #results ~= #states then fail("scan: f gives " .. #results .. " of " .. #states .. " states") end
    for k, A in ipairs(states) do check_next(A, results[k]) end
    for k, A in ipairs(outputs) do
        if core.cols(A, "scan") ~= 1 then fail("scan: f's output is " .. core.describe(A) .. ", not a column") end
        results[#states + k] = A
    end
    local made, last = core.scan(states, state_ins, sources, column_ins, results), {}
    for k in ipairs(states) do last[k] = made[k] end
    local beside = { unpack(made, #states + 1) }
    return core.is_matrix(output) and beside[1] or beside, core.is_matrix(S) and last[1] or last
end

-- scan(f, S, A, B, ...): f(S, a, b, ...) gives the next state and an output, for each column of A and B, or each matrix
-- of lists. The outputs, side by side or as a list, and the last state.
function env.scan(f, S, A, ...)
    check_function(f, "scan(f, S, A, ...): f")
    local sources, stepwise = { A, ... }, true
    for _, source in ipairs { check_given(A, "scan(f, S, A, ...): A"), ... } do
        local count = core.is_matrix(source) and core.cols(source, "scan") or 0
        if not core.is_matrix(source) and type(source) ~= "table" then
            fail("scan walks matrices and lists of them, got " .. core.describe(source))
        end
        local inside = core.is_matrix(source) and core.items(source) ~= 1 -- of each
        stepwise = stepwise and type(count) == "number" and (inside or count <= most_steps)
    end
    return (stepwise and scan_steps or scan_columns)(f, S, sources)
end

function env.rows(A, from, count)
    check_given(from, "rows(A, from, count): from")
    check_given(count, "rows(A, from, count): count")
    return node("rows", { from = from, rows = count }, A)
end

-- Column j is A's column f(j, h, batch); f may also be ids, one for each column.
function env.pick(A, f, n)
    check_matrix(A, "pick")
    local ids = core.is_matrix(f) and f
    if not ids then check_function(f, "pick(A, f, n): f") end
    local cols = n or ids and core.rows(ids, "pick") or check_given(n, "pick(A, f, n): n")
    local shape = node("expand", { rows = core.rows(A, "pick"), cols = cols }, core.constant(0))
    return map(function(_, i, j, h, batch) return A(i, ids and ids(j) or f(j, h, batch)) end, shape)
end

function env.stack_heads(list)
    if type(list) ~= "table" or #list == 0 then
        fail("stack_heads expects a list of matrices, got " .. core.describe(list))
    end
    return node("stack_heads", nil, unpack(list))
end

function env.split_heads(A, heads)
    check_given(heads, "split_heads(A, heads): heads")
    return node("split_heads", { heads = heads }, A)
end

-- f on each column of A, cut into m tokens: inside it A's columns are items of their own. A column of what f makes of
-- them, end to end, is a column of the result.
function env.each(A, m, f)
    check_matrix(A, "each")
    local d, n = core.rows(A, "each"), core.cols(A, "each")
    if type(d) ~= "number" then fail("each: the number of rows is known only when the kernel runs") end
    check_whole(m, 1, "each(A, m, f): m")
    check_function(f, "each(A, m, f): f")
    if core.heads(A) > 0 then fail("each: the matrix has heads: concat_heads first") end
    if core.items(A) ~= 1 then fail("each inside each is not available") end
    if d % m ~= 0 then fail("each: " .. d .. " rows do not cut into " .. m .. " tokens") end
    local B = check_matrix(f(node("reshape", { rows = d // m, cols = m, each = n }, A)), "each: what f returns")
    if core.heads(B) > 0 then fail("each: what f returns has heads: concat_heads first") end
    local rows, cols = core.rows(B, "each"), core.cols(B, "each")
    if type(rows) ~= "number" or type(cols) ~= "number" then
        fail("each: what f returns is " .. core.describe(B) .. ": its sizes are numbers")
    end
    if n ~= 1 and core.items(B) == 1 then fail("each: what f returns is the same for every column") end
    return node("reshape", { rows = rows * cols, cols = n }, B)
end

-- ---- over tokens: along each row, to a column ----

local function sum_tokens(A, what)
    return node("sum", nil, check_matrix(A, what or "sum_tokens"):t()):t()
end
env.sum_tokens = function(A) return sum_tokens(A) end

-- Dropped entries count neither above nor below; the mean of nothing is 0.
function env.mean_tokens(A)
    local count = core.cols(A, "mean_tokens")
    if core.is_kept(A) then count = sum_tokens(map(function() return 1.0 end, A)) end
    return map(function(s, n) return where(eq(n, 0), 0, s / n) end, sum_tokens(A, "mean_tokens"), count)
end

function env.max_tokens(A)
    return node("maximum", nil, check_matrix(A, "max_tokens"):t()):t()
end

-- ---- normalisation down each column ----

local column_norms = {
    sum = function(A) return node("sum", nil, A) end,
    l1 = function(A) return node("sum", nil, map(abs, A)) end,
    l2 = function(A) return map(sqrt, node("sum", nil, map(function(a) return a * a end, A))) end,
    max = function(A) return node("maximum", nil, map(abs, A)) end,
}

-- Functions f that grow from below 1 to above it, so that some t makes sum f(a - t) = 1.
local growing = { relu = true, exp = true, exp2 = true, softplus = true, sigmoid = true, }

-- normalize(A, "sum" | "l1" | "l2" | "max"), or normalize(A, f): f(a - t) with t such that each column sums to 1.
function env.normalize(A, by)
    check_matrix(A, "normalize")
    local norm = type(by) == "string" and column_norms[by]
    if norm then
        return map(function(a, s) return where(eq(s, 0), 0, a / s) end, A, norm(A))
    end
    local name = type(by) == "function" and core.scalar_name(by)
    if not growing[name] then
        fail('normalize expects "sum", "l1", "l2", "max", or one of relu, exp, exp2, softplus, sigmoid, got '
            .. (name or core.describe(by)))
    end
    return map(function(a, t) return by(a - t) end, A, node("threshold", { fn = name }, A))
end
local normalize = env.normalize

-- (x - mean) / sqrt(variance + eps) * gain + bias, per token; gain and bias are columns or nil.
function env.layer_norm(X, gain, bias, eps)
    local d = core.rows(X, "layer_norm")
    local centred = X - node("sum", nil, X) / d
    local variance = node("sum", nil, map(function(x) return x * x end, centred)) / d
    local Y = map(function(x, v) return x * rsqrt(v + (eps or 1e-5)) end, centred, variance)
    if gain then Y = hadamard(Y, gain) end
    return bias and Y + bias or Y
end

-- x / sqrt(mean of squares + eps) * gain, per token; gain is a column or nil.
function env.rms_norm(X, gain, eps)
    local d = core.rows(X, "rms_norm")
    local square = node("sum", nil, map(function(x) return x * x end, X)) / d
    local Y = map(function(x, s) return x * rsqrt(s + (eps or 1e-6)) end, X, square)
    return gain and hadamard(Y, gain) or Y
end

-- ---- pairs of tokens ----

env.pairs_of = core.pairs_of

-- On matrices: all pairs of columns. On tokens, inside pairs_of: the one pair.
local function pair_operation(name, on_matrices)
    return function(Z, X)
        if core.is_token(Z) or core.is_token(X) then return core.token_pair(Z, X, name) end
        check_matrix(Z, name)
        check_matrix(X, name)
        return on_matrices(Z, X)
    end
end

local function product(Z, X) return Z:t() * X end
local inner = pair_operation("inner", product)
local sqdist = pair_operation("sqdist", function(Z, X) return node("sqdist", nil, Z, X) end)
local dist1 = pair_operation("dist1", function(Z, X) return node("dist1", nil, Z, X) end)
env.inner, env.sqdist, env.dist1 = inner, sqdist, dist1

function env.dot(z, x) return core.token_pair(z, x, "dot") end
function env.sqnorm(z) return core.token_pair(z, z, "dot") end

function env.cosine(Z, X) return inner(normalize(Z, "l2"), normalize(X, "l2")) end

-- exp(-gamma |z - x|^2)
function env.rbf(Z, X, gamma)
    return map(exp, -check_given(gamma, "rbf(Z, X, gamma): gamma") * sqdist(Z, X))
end

-- exp(-gamma |z - x|_1)
function env.laplace(Z, X, gamma)
    return map(exp, -check_given(gamma, "laplace(Z, X, gamma): gamma") * dist1(Z, X))
end

-- (<z, x> + c)^degree
function env.poly(Z, X, degree, c)
    check_whole(degree, 1, "the degree of poly")
    return map(function(s) return whole_power(s + (c or 0), degree) end, inner(Z, X))
end

-- ---- masks, for keep ----

-- A query sees the keys up to its own position.
function env.causal(i, j) return le(i, j) end

-- The last query sees the last key, the one before it all keys but one, ...
function env.causal_end(i, j, h, batch, rows, cols) return le(i - rows, j - cols) end

-- From `before` keys before the query's position to `after` after it, both included.
function env.window(before, after)
    check_given(before, "window(before, after): before")
    return function(i, j) return ge(i, j - before) & le(i, j + (after or 0)) end
end

-- The first p keys.
function env.prefix(p)
    check_given(p, "prefix(p): p")
    return function(i) return lt(i, p) end
end

-- Keys and queries of one document; doc = ids("doc", "n").
function env.documents(doc)
    check_matrix(doc, "documents")
    return function(i, j) return eq(doc(i), doc(j)) end
end

-- Every r-th key before and after the query.
function env.dilated(r)
    check_given(r, "dilated(r): r")
    return function(i, j) return eq((i - j) % r, 0) end
end

-- The first g tokens see all and are seen by all.
function env.global(g)
    check_given(g, "global(g): g")
    return function(i, j) return lt(i, g) | lt(j, g) end
end

local function joined(name, join)
    return function(...)
        local masks = { ... }
        if #masks == 0 then fail(name .. " expects masks") end
        for _, mask in ipairs(masks) do check_function(mask, name) end
        return function(...)
            local result = masks[1](...)
            for k = 2, #masks do result = join(result, masks[k](...)) end
            return result
        end
    end
end
env.all_of = joined("all_of", function(a, b) return a & b end)
env.any_of = joined("any_of", function(a, b) return a | b end)
local any_of = env.any_of

function env.none_of(...)
    local any = any_of(...)
    return function(...) return ~any(...) end
end

-- ---- changes of scores, for map ----

function env.softcap(c)
    check_given(c, "softcap(c): c")
    return function(s) return c * tanh(s / c) end
end

-- Press, Smith and Lewis 2022: -slope |i - j|, the slopes a geometric row; for H no power of 2, as the authors do it,
-- those of the power below and then every second of the power above.
function env.alibi(heads)
    check_whole(heads, 1, "alibi")
    local power = 1
    while 2 * power <= heads do power = 2 * power end
    return function(s, i, j, h)
        local slope = exp2((h + 1) * (-8 / power))
        if power < heads then slope = where(lt(h, power), slope, exp2((2 * (h - power) + 1) * (-4 / power))) end
        return s - slope * abs(i - j)
    end
end

-- s + table[i - j + middle], clamped to the table.
function env.relative_bias(table)
    local middle = core.rows(table, "relative_bias") // 2
    return function(s, i, j) return s + table(i - j + middle) end
end

-- ---- positions of tokens ----

-- Su et al. 2021: rotates pairs of a token's first `dims` numbers by (j + offset) theta^(-2p/dims). Number i is paired
-- with i + dims/2, or with its neighbour where interleaved.
function env.rope(X, theta, options)
    options = check_options(options, "rope", { offset = true, interleaved = true, dims = true })
    local d = check_number(core.rows(X, "rope"), "rope: the tokens' size")
    local dims = check_whole(options.dims or d, 0, "rope: dims")
    if dims % 2 ~= 0 or dims > d then fail("rope: dims is even and at most " .. d .. ", not " .. dims) end
    if dims == 0 then return X end
    local rate, half = -2 * log(check_number(theta or 10000, "rope: theta")) / dims, dims // 2
    return map(function(x, i, j)
        local first = options.interleaved and eq(i % 2, 0) or lt(i, half)
        local pair = options.interleaved and i // 2 or i % half
        local partner = options.interleaved and i + where(first, 1, -1) or i + where(first, half, -half)
        local angle = (j + (options.offset or 0)) * exp(pair * rate)
        local rotated = x * cos(angle) + where(first, -1.0, 1.0) * X(partner, j) * sin(angle)
        return dims == d and rotated or where(lt(i, dims), rotated, x)
    end, X)
end

-- The paper's footnote, d x n with i and j from 1: P[2i-1, j] = sin(j / n^(2i/d)), P[2i, j] = cos(j / n^(2i/d)).
function env.sinusoidal(d, n)
    check_whole(d, 1, "sinusoidal")
    local length = size(n)
    local zeros = node("expand", { rows = d, cols = n }, core.constant(0))
    return map(function(_, i, j)
        local angle = (j + 1) * exp((i // 2 + 1) * log(length) * (-2 / d))
        return where(eq(i % 2, 0), sin(angle), cos(angle))
    end, zeros)
end

-- ---- time stamps of tokens: Xu et al. 2019, arXiv:1911.12864 ----

-- How many time stamps t(j) there are: t is a vector, or a token of one number each.
local function count_times(t, what)
    return core.cols(t, what) == 1 and core.rows(t, what) or core.cols(t, what)
end

-- Bochner: 2d x n, [cos w_1 t, sin w_1 t, ..., cos w_d t, sin w_d t] / sqrt d; omega holds w, d x 1.
function env.bochner(t, omega)
    local d = check_number(core.rows(omega, "bochner: omega"), "bochner: the number of frequencies")
    return map(function(_, i, j)
        local angle = omega(i // 2) * t(j)
        return where(eq(i % 2, 0), cos(angle), sin(angle)) / sqrt(d)
    end, node("expand", { rows = 2 * d, cols = count_times(t, "bochner") }, core.constant(0)))
end

-- Mercer: k periods 2 w, each with d harmonics, k (2d + 1) x n; a period's part is [sqrt c_0, sqrt c_1 cos(pi t / w),
-- sqrt c_1 sin(pi t / w), sqrt c_2 cos(2 pi t / w), ...]. omega is k x 1, log_c k x (d + 1): so every c is positive,
-- and a cosine and its sine have the same one, without which the kernel would not be one of t - t'.
function env.mercer(t, omega, log_c)
    local k = check_number(core.rows(omega, "mercer: omega"), "mercer: the number of periods")
    local width = 2 * check_number(core.cols(log_c, "mercer: log_c"), "mercer: the number of coefficients") - 1
    return map(function(_, i, j)
        local period, p = i // width, i % width
        local harmonic = (p + 1) // 2
        local angle = harmonic * math.pi * t(j) / omega(period)
        return exp(log_c(period, harmonic) / 2) * where(eq(p % 2, 1), cos(angle), where(eq(p, 0), 1, sin(angle)))
    end, node("expand", { rows = k * width, cols = count_times(t, "mercer") }, core.constant(0)))
end

-- ---- the paper's coefficient matrices ----

-- Kernels by name, of all pairs of columns; options may have gamma (1 / the tokens' size if not), degree (2) and c (1).
local pair_kernels = {
    inner = inner,
    cosine = env.cosine,
    rbf = function(Z, X, o) return env.rbf(Z, X, o.gamma) end,
    laplace = function(Z, X, o) return env.laplace(Z, X, o.gamma) end,
    student = function(Z, X, o) return map(function(s) return 1 / (1 + o.gamma * s) end, sqdist(Z, X)) end,
    poly = function(Z, X, o) return env.poly(Z, X, o.degree or 2, o.c or 1) end,
}

local coefficient_options = { [1] = true, order = true, kernel = true, sigma = true, heads = true, weights = true,
    gamma = true, degree = true, c = true }

-- coefficient { Y, order = K, kernel = "inner", sigma = softmax, heads = H }: g = sigma(kernel(Y, B)) with
-- B = W1 Y Y' W2 Y ... Y' W(K/2) Y, so that inner gives a term of order K of eq. (3.2). Declares the weights, each
-- k x k; `weights` names them otherwise than W. Without sigma, g is the kernel itself.
function env.coefficient(options)
    check_options(options, "coefficient", coefficient_options)
    local Y = check_matrix(options and options[1], "coefficient")
    local k, order = core.rows(Y, "coefficient"), check_whole(options.order or 2, 2, "coefficient: order")
    local kernel = pair_kernels[options.kernel or "inner"]
    if order % 2 ~= 0 then fail("coefficient: order is even, not " .. order) end
    if not kernel then
        fail("coefficient: kernel is inner, cosine, rbf, laplace, student or poly, not "
            .. core.describe(options.kernel))
    end
    local W, B = {}, Y
    for term = 1, order // 2 do
        W[term] = env.matrix((options.weights or "W") .. term, k, k, options.heads and { heads = options.heads })
    end
    for term = order // 2, 1, -1 do B = term > 1 and Y * (Y:t() * W[term] * B) or W[term] * B end
    local A = kernel(Y, B, { gamma = options.gamma or 1 / k, degree = options.degree, c = options.c })
    local sigma = options.sigma
    if not sigma then return A end
    return sigma == env.softmax and sigma(A) or map(check_function(sigma, "coefficient: sigma"), A)
end

-- The sum over k of psi(yk, yi, yj), k neither i nor j, as row i and column j; psi may look at yi or at yj, not at
-- both. It is the sum over k other than the one looked at, less the term of the other.
local absent = false -- no token: to look at it is an error
local function pair_sums(psi, Y)
    local function sums(F)
        return node("sum", nil, keep(function(k, i) return ne(k, i) end, F))
    end
    local fine, F = pcall(env.pairs_of, function(yk, yi) return psi(yk, yi, absent) end, Y, Y)
    if fine then return sums(F):t() - F:t() end
    fine, F = pcall(env.pairs_of, function(yk, yj) return psi(yk, absent, yj) end, Y, Y)
    if fine then return sums(F) - F end
    return core.triples_of(psi, Y)
end

local equivariant_options = { Y = true, psi1 = true, rho1 = true, psi2 = true, rho2 = true }

-- Prop. 4.1: g[i, i] = rho1(yi, sum over k other than i of psi1(yk, yi)),
-- g[i, j] = rho2(yi, yj, sum over k other than i and j of psi2(yk, yi, yj)).
function env.permutation_equivariant(options)
    check_options(options, "permutation_equivariant", equivariant_options)
    local Y = check_matrix(options and options.Y, "permutation_equivariant: Y")
    for _, name in ipairs { "psi1", "rho1", "psi2", "rho2" } do
        check_function(options[name], "permutation_equivariant: " .. name)
    end
    local F = env.pairs_of(function(yk, yi) return options.psi1(yk, yi) end, Y, Y)
    local s = node("sum", nil, keep(function(k, i) return ne(k, i) end, F)):t()
    local same = env.pairs_of(function(yi, _, s) return options.rho1(yi, s) end, Y, Y, s)
    local other = env.pairs_of(function(yi, yj, s) return options.rho2(yi, yj, s) end, Y, Y, pair_sums(options.psi2, Y))
    return map(function(on, off, i, j) return where(eq(i, j), on, off) end, same, other)
end
