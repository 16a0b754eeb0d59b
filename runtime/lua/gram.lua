-- The part of the Lua module that is better said in Lua: what gram.load accepts, and how values print. It is given the
-- functions of C and the methods of tensors, and is embedded in gram.so.
local core, methods = ...
local gram = {}
for name, f in pairs(core) do gram[name] = f end

-- ---- a spec as a Lua function of the script ----
-- The sandbox runs text, never bytecode, so the function's source is found again by the lines that Lua remembers, and
-- cut at `function` and `end`. Numbers, strings and booleans of the script that it uses become locals in front of it.

local function source_lines(f, info)
    local text = info.source
    if text:sub(1, 1) == "@" then
        local path = text:sub(2)
        local file <close> = assert(io.open(path), "gram.load: the function's file cannot be read: " .. path)
        text = file:read("a")
    elseif text:sub(1, 1) == "=" then
        error("gram.load: the function has no source text: it must come from a file or a string of Lua", 0)
    end
    local lines, n = {}, 0
    for line in (text .. "\n"):gmatch("(.-)\r?\n") do
        n = n + 1
        if n >= info.linedefined and n <= info.lastlinedefined then lines[#lines + 1] = line end
    end
    return lines
end

-- All f from `function` to `end` in the lines that are one whole function; exactly one is expected.
local function cut_function(lines, info)
    local found, text, last = {}, table.concat(lines, "\n"), #lines[#lines]
    local first_line, before = #lines[1], #table.concat(lines, "\n") - last
    for from in text:gmatch("()%f[%w_]function%f[^%w_]") do
        if from > first_line then break end
        local rest = text:sub(from):gsub("^function%s+[%w_.:]+", "function", 1)
        local shift = #text - from + 1 - #rest
        for to in text:gmatch("%f[%w_]end()%f[^%w_]") do
            local piece = to > before and rest:sub(1, to - from - shift)
            if piece and load("return " .. piece) then found[#found + 1] = piece end
        end
    end
    if #found ~= 1 then
        error(("gram.load: the function's source is not plain at %s:%d: put it on lines of its own"):format(
            info.short_src, info.linedefined), 0)
    end
    return found[1]
end

local function upvalue_locals(f, info)
    local names, values = {}, {}
    for i = 1, math.huge do
        local name, value = debug.getupvalue(f, i)
        if not name then break end
        local kind = math.type(value) or type(value)
        local text = kind == "float" and ("%a"):format(value)
        if kind == "string" then text = ("%q"):format(value):gsub("\n", "n") end
        if value ~= value or value == math.huge or value == -math.huge then text = nil end
        if kind == "integer" or kind == "boolean" or kind == "nil" then text = tostring(value) end
        if name ~= "_ENV" then
            if not text then
                error(("gram.load: the function uses %s, a %s of the script: a spec sees only its numbers, " ..
                       "strings and booleans"):format(name, type(value)), 0)
            end
            names[#names + 1], values[#values + 1] = name, text
        end
    end
    return #names > 0 and ("local %s = %s; "):format(table.concat(names, ", "), table.concat(values, ", ")) or ""
end

-- A text that computes what f would, on the lines where f stands, and the file's name.
local function function_text(f)
    local info = debug.getinfo(f, "S")
    if info.what == "C" then error("gram.load: a C function is no spec", 0) end
    local text = cut_function(source_lines(f, info), info)
    local head = ("\n"):rep(info.linedefined - 1) .. upvalue_locals(f, info)
    return head .. "return (" .. text .. ")()", info.source:match("^@(.*)") or "spec"
end

--- gram.load(SPEC [, options]): SPEC is a file's name, { text = TEXT, name = NAME }, or a function.
function gram.load(spec, options)
    if type(spec) == "function" then
        local text, name = function_text(spec)
        return core.load(name, text, options)
    elseif type(spec) == "table" then
        if type(spec.text) ~= "string" then error("gram.load: { text = TEXT, name = NAME } has no text", 2) end
        return core.load(spec.name or "spec", spec.text, options)
    elseif type(spec) ~= "string" then
        error("gram.load expects a file's name, { text = TEXT, name = NAME } or a function, not a " .. type(spec), 2)
    end
    return core.load(spec, nil, options)
end

-- ---- tensors ----

function methods.mean(t, axis)
    local shape, n = t:shape(), 1
    for k = 1, #shape do n = n * ((axis == nil or k == axis) and shape[k] or 1) end
    return t:sum(axis) / n
end

function gram.zeros(shape, dtype)
    return core.tensor(shape, nil, dtype)
end

local function shape_text(shape)
    return "{" .. table.concat(shape, ", ") .. "}"
end

-- f4 {8, 512, 64}: 0.1 0.2 0.3 ...
local function tensor_text(t)
    local shape, parts, count = t:shape(), {}, 1
    for k = 1, #shape do count = count * shape[k] end
    local flat = t:reshape({ count })
    for i = 1, math.min(count, 6) do parts[i] = ("%.6g"):format(flat[i]) end
    return ("%s %s: %s%s"):format(t:dtype(), shape_text(shape), table.concat(parts, " "), count > 6 and " ..." or "")
end

return gram, shape_text, tensor_text
