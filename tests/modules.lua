-- The Lua module: tensors, files, kernels, specs as functions; calls are timed and printed.
local gram = require "gram"
local passed, failed = 0, 0
local folder = os.tmpname()
os.remove(folder)
os.execute("mkdir " .. folder)

local function check(holds, what)
    if holds then passed = passed + 1 else failed = failed + 1; print("failed: " .. what) end
end

local function equal(a, b)
    if type(a) ~= "table" or type(b) ~= "table" then
        return a == b or (type(a) == "number" and type(b) == "number" and math.abs(a - b) <= 1e-6 * math.abs(b))
    end
    for k = 1, math.max(#a, #b) do if not equal(a[k], b[k]) then return false end end
    return #a == #b
end

local function same(got, wanted, what)
    if type(got) == "userdata" then got = got:table() end
    check(equal(got, wanted), what)
end

local function fails(pattern, what, ...)
    local fine, message = pcall(...)
    check(not fine and tostring(message):find(pattern), what .. ": " .. tostring(message))
end

local function write(name, text)
    local file = assert(io.open(folder .. "/" .. name, "wb"))
    file:write(text)
    file:close()
    return folder .. "/" .. name
end

-- ---- tensors ----
local t = gram.tensor({ 2, 3 }, { 1, 2, 3, 4, 5, 6 })
same(t:shape(), { 2, 3 }, "shape")
check(t[{ 2, 3 }] == 6 and t[{ -1, -1 }] == 6 and #t == 2 and t:dtype() == "f4", "entries")
same(t[1], { 1, 2, 3 }, "a row")
same(t[{ {}, 2 }], { 2, 5 }, "a column")
same(t[{ 1, { 2, 3 } }], { 2, 3 }, "a range")
same(t[{ { 2, 1 } }], {}, "an empty range")
same(t:transpose(), { { 1, 4 }, { 2, 5 }, { 3, 6 } }, "transpose")
same(t:transpose():reshape({ 6 }), { 1, 4, 2, 5, 3, 6 }, "reshape of what is not dense")
same(gram.tensor({ 2, 2 }, { { 1, 2 }, { 3, 4 } }, "i4"), { { 1, 2 }, { 3, 4 } }, "nested values")
check(math.type(gram.tensor({ 1 }, { 7 }, "i8")[1]) == "integer", "integers stay integers")
check(tostring(t) == "f4 {2, 3}: 1 2 3 4 5 6" and tostring(t:shape()) == "{2, 3}", "printing")
local row = t[1]
row[{}] = gram.tensor({ 3 }, { 7, 8, 9 })
check(t[{ 1, 1 }] == 7, "a slice is a view")
t[{ 2, { 1, 2 } }] = 0
same(t, { { 7, 8, 9 }, { 0, 0, 6 } }, "assignment to a range")
t[2] = t[1]
same(t, { { 7, 8, 9 }, { 7, 8, 9 } }, "assignment of a view of itself")
t = nil
collectgarbage()
same(row, { 7, 8, 9 }, "a view keeps its data")

-- ---- arithmetic ----
local a, b = gram.tensor({ 2, 2 }, { 1, 2, 3, 4 }), gram.tensor({ 2 }, { 10, 20 })
same(a + b, { { 11, 22 }, { 13, 24 } }, "a row is repeated")
same(a - b:reshape({ 2, 1 }), { { -9, -8 }, { -17, -16 } }, "a column is repeated")
same(2 * a / 4 ^ 0.5 - -a, { { 2, 4 }, { 6, 8 } }, "numbers")
same((a ^ 2):sqrt():log():exp(), { { 1, 2 }, { 3, 4 } }, "functions")
same((-a):abs():map(function(x) return x + 0.5 end), { { 1.5, 2.5 }, { 3.5, 4.5 } }, "map")
check(a:sum() == 10 and a:max() == 4 and a:min() == 1 and a:mean() == 2.5, "sum, max, min, mean of all")
same(a:sum(1), { 4, 6 }, "sum over rows")
same(a:sum(2), { 3, 7 }, "sum over columns")
same(a:mean(2), { 1.5, 3.5 }, "mean")
same(a:maximum(2.5), { { 2.5, 2.5 }, { 3, 4 } }, "maximum")
same(a:copy():add(b, 0.1):add(1), { { 3, 5 }, { 5, 7 } }, "add in place")
check((a + a:copy("f8")):dtype() == "f8" and (a * 2):dtype() == "f4", "types of results")
check(gram.tensor({ 1000, 700 }, 1):sum() == 700000, "a long sum")
same(gram.tensor({ 0, 3 }):sum(1), { 0, 0, 0 }, "a sum of nothing")

-- ---- random numbers ----
local n = gram.normal({ 100, 100 }, 1)
check(math.abs(n:mean()) < 0.05 and math.abs((n * n):mean() - 1) < 0.05, "normal")
local u = gram.uniform({ 10000 }, 2, "f8")
check(u:min() >= 0 and u:max() < 1 and math.abs(u:mean() - 0.5) < 0.02 and u:dtype() == "f8", "uniform")
check((n - gram.normal({ 100, 100 }, 1)):abs():max() == 0, "the same seed gives the same numbers")
check((n - gram.normal({ 100, 100 }, 3)):abs():max() > 0, "another seed gives others")

-- ---- mistakes ----
fails("outside axis 1", "an index too large", function() return a[3] end)
fails("outside axis 2", "index 0", function() return a[{ 1, 0 }] end)
fails("more indices", "too many indices", function() return a[{ 1, 1, 1 }] end)
fails("do not fit", "shapes", function() return a + gram.tensor({ 3 }) end)
fails("values for a shape", "too few values", gram.tensor, { 3 }, { 1, 2 })
fails("more values", "too many values", gram.tensor, { 1 }, { 1, 2 })
fails("no type", "an unknown type", gram.tensor, { 1 }, nil, "f5")
fails("does not fit type", "a value out of range", gram.tensor, { 1 }, { 1000 }, "i1")
fails("too large", "a shape too large", gram.tensor, { 1 << 40, 1 << 40 })
fails("no such axis", "an axis", function() return a:sum(3) end)

-- ---- files ----
gram.write(folder .. "/a.npy", a:transpose())
same(gram.read(folder .. "/a.npy"), { { 1, 3 }, { 2, 4 } }, "npy")
fails("No such file", "a file that is not there", gram.read, folder .. "/none.npy")
local header = '{"w.weight":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},' ..
               '"h":{"dtype":"BF16","shape":[2],"data_offsets":[16,20]}}'
local weights = write("w.safetensors", ("<I8"):pack(#header) .. header .. ("<ffff"):pack(1, 2, 3, 4) .. "\x80\x3f\x00\x40")
local file = gram.read(weights)
same(file["w.weight"], { { 1, 2 }, { 3, 4 } }, "safetensors")
same(file.h, { 1, 2 }, "bf16")
file["w.weight"][{}] = 0
same(gram.read(weights)["w.weight"], { { 1, 2 }, { 3, 4 } }, "what is written to a mapped file stays in memory")
fails("not a .safetensors", "a text as safetensors", gram.read, write("bad.safetensors", "hello, this is not it"))

-- ---- kernels ----
local X = gram.normal({ 5, 4 }, 1)
local function expected(x)
    local rows, out = x:table(), {}
    for j, q in ipairs(rows) do
        local scores, sum = {}, 0
        for i, k in ipairs(rows) do
            local s = 0
            for p = 1, 4 do s = s + q[p] * k[p] end
            scores[i], sum = math.exp(s), sum + math.exp(s)
        end
        out[j] = { 0, 0, 0, 0 }
        for i, k in ipairs(rows) do for p = 1, 4 do out[j][p] = out[j][p] + scores[i] / sum * k[p] end end
    end
    return gram.tensor(x:shape(), out)
end
local function near(got, wanted, what) check((got - wanted):abs():max() < 1e-5, what) end

local text = 'local X = tokens("X", option("d", 4), "n")\nreturn kernel("soft", { O = X * softmax(X:t() * X) })\n'
for _, jit in ipairs { "tcc", "reference" } do
    local k = gram.load({ text = text, name = "soft.lua" }, { jit = jit, threads = 2 })
    near(k({ X = X }).O, expected(X), jit)
end
local k = gram.load(write("soft.lua", text), { set = { d = 4 } })
near(k { X = X }.O, expected(X), "a file")
near(k { X = X:transpose():copy():transpose() }.O, expected(X), "strides")
near(k { X = X:copy("f8") }.O, expected(X), "another type")
local o = gram.zeros({ 5, 4 })
check(k({ X = X }, { O = o }).O == o and (o - expected(X)):abs():max() < 1e-5, "an output of the caller's")
check(k({ X = X }, { O = true }).O:dtype() == "f4", "an output asked for")
check(k.name == "soft" and k.inputs[1].name == "X" and k.inputs[1].shape == "[batch, n, 4]" and k.outputs[1].name == "O" and
      k.sizes[1] == "n", "questions")
check(k.source:find("int soft%(") and k.c_header:find("soft_args") and k.plan:find("flops") and k.ir:find("softmax"), "texts")
check(k:cost({ X = X }).bytes == 80, "cost")
local p = gram.load({ text = 'local W = matrix("W", 2, 2, { key = "w.weight" })\nlocal s = scalar("s")\n' ..
                             'return kernel("p", { Y = s * W })' })
local arguments = p:weights(weights)
arguments.s = 2
same(p(arguments).Y, { { 2, 4 }, { 6, 8 } }, "weights, and a number as a scalar")
fails("has no tensor w.weight for W", "a file without the weights", p.weights, p,
      write("empty.safetensors", ("<I8"):pack(2) .. "{}"))

fails("^" .. folder:gsub("%p", "%%%0") .. "/wrong.lua:1: error:", "an error of the spec", gram.load, write("wrong.lua", "return 3"))
fails("input X .* missing", "a missing input", k, {})
fails("has no array Y", "an unknown input", k, { X = X, Y = X })
fails("expected a tensor", "no tensor", k, { X = "x" })
fails("no option 'jot'", "an unknown option", gram.load, { text = text }, { jot = 1 })
fails("no back end", "an unknown back end", gram.load, { text = text }, { jit = "gpu" })
fails("no option e to set", "an unknown option of the spec", gram.load, { text = text }, { set = { e = 1 } })

-- ---- gradients: a linear map is trained to give zeros ----
local linear = gram.load({ text = 'local X, W = tokens("X", 4, "n"), matrix("W", 4, 4) return kernel("p", { Y = W * X })' })
local W, first, last = gram.normal({ 4, 4 }, 2)
for step = 1, 200 do
    local Y = linear({ X = X, W = W }).Y
    last = (Y * Y):sum()
    first = first or last
    W:add(linear:grad({ X = X, W = W, dY = 2 * Y }).W, -0.02)
end
check(last < 1e-3 * first, "training")
do
    local Y = linear { X = X, W = W }.Y
    local given, made = linear:grad({ X = X, W = W, dY = 2 * Y, Y = Y }).W, linear:grad({ X = X, W = W, dY = 2 * Y }).W
    check((given - made):abs():max() == 0, "the gradient with the outputs given")
end
check(linear:gradient("W").outputs[1].name == "dW", "the gradient by one input")

-- ---- specs as functions ----
local d, name, negative, long = 4, "soft2", -0.5, "two\nlines"
local f = gram.load(function()
    local X = tokens("X", d, "n")
    return kernel(name, { O = X * softmax(X:t() * X) }, { doc = long })
end)
near(f { X = X }.O, expected(X), "a function of the script")
for _, width in ipairs { 2, 3 } do
    local one = gram.load(function() return kernel("one", { O = negative * tokens("X", width, "n") }) end)
    check(one.inputs[1].shape == "[batch, n, " .. width .. "]", "a function on one line, in a loop")
end
local line = debug.getinfo(1, "l").currentline
fails("tests/modules.lua:" .. line + 3 .. ": error:", "an error in a function names the script's line", gram.load, function()
    local X = tokens("X", d, "n")
    return kernel("wrong", { O = X * X })
end)
fails("function uses X, a userdata", "a function that uses a tensor", gram.load, function() return X end)
fails("not plain", "two functions on a line", gram.load, (function() return function() return 1 end, 2 end)())
near(load('local gram = ... return gram.load(function() local X = tokens("X", 4, "n") ' ..
          'return kernel("s", { O = X * softmax(X:t() * X) }) end)')(gram) { X = X }.O, expected(X), "a function in a string")

-- ---- one compile ----
local soft = gram.load("specs/gqa_softcap.lua")
for i = 1, 10 do
    local n = 10 * i * i
    local q, kv = gram.normal({ 8, n, 64 }, i), gram.normal({ 2, n, 64 }, 50 + i)
    local out = soft { Q = q, K = kv, V = kv }
    check((out.O[{ 1, 1 }] - kv[{ 1, 1 }]):abs():max() < 1e-5, "softcap of length " .. n)
end
local start = os.clock()
for _ = 1, 1000 do gram.load("specs/gqa_softcap.lua") end
print(("a load of the same spec: %.1f us"):format((os.clock() - start) * 1e3))

-- ---- overhead and memory ----
local tiny, x, out = gram.load({ text = text }), gram.normal({ 1, 4 }, 1), { O = gram.zeros({ 1, 4 }) }
local input = { X = x }
for _, case in ipairs { { "outputs made", nil }, { "outputs given", out } } do
    local begin = os.clock()
    for _ = 1, 20000 do tiny(input, case[2]) end
    print(("a call of a tiny kernel, %s: %.2f us"):format(case[1], (os.clock() - begin) / 20000 * 1e6))
end
for _ = 1, 200 do gram.zeros({ 1 << 20 }) end
collectgarbage()
local file <close> = io.open("/proc/self/statm")
local _, pages = file:read("n", "n")
check(pages * 4096 < 400 << 20, "tensors that nobody holds are collected")

os.execute("rm -r " .. folder)
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0, true)
