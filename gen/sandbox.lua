-- The part of Lua that a spec sees. What Lua's library does in C without a budget is done here in Lua, where every
-- step is counted: matching (a pattern with nested repeats never ends), moving and sorting. What would differ from run
-- to run is made to agree: the order of pairs (order.lua), of equal elements in sort, addresses in texts.
-- Given Lua's own globals, charge(steps), and order.lua's functions; returns the globals of a spec.
local host, tools, order = ...
local charge = tools.charge
local byte, sub = host.string.byte, host.string.sub
local error, select, type, rawlen = host.error, host.select, host.type, host.rawlen

local function subset(library, names)
    local chosen = {}
    for name in host.string.gmatch(names, "%S+") do chosen[name] = library[name] end
    return chosen
end

local env = subset(host, "assert error ipairs rawequal rawget rawlen select tonumber type")
env.math = subset(host.math, [[abs acos asin atan ceil cos deg exp floor fmod huge log max maxinteger min mininteger
    modf pi rad sin sqrt tan tointeger type ult]])
env.string = subset(host.string, "char len lower reverse upper sub")
env.table = subset(host.table, "pack")

-- ---- text ----

-- Values without a text of their own are named by their type, never by an address.
local function plain(value)
    local kind = type(value)
    local is_plain = kind ~= "table" and kind ~= "function" and (kind ~= "userdata" or host.getmetatable(value))
    return is_plain and host.tostring(value) or kind
end
env.tostring = plain

function env.string.format(format, ...)
    if env.string.find(format, "%%[-+ #0]*%d*p") then error("string.format has no %p here", 0) end
    local values = host.table.pack(...)
    for k = 1, values.n do
        if type(values[k]) ~= "string" and not host.math.type(values[k]) then values[k] = plain(values[k]) end
    end
    return host.string.format(format, host.table.unpack(values, 1, values.n))
end

function env.string.byte(s, i, j)
    i = i or 1
    charge(#s // 16)
    return byte(s, i, j or i)
end

function env.string.rep(s, n, separator)
    if #s + #(separator or "") == 0 then return "" end
    return host.string.rep(s, n, separator)
end

-- ---- patterns: Lua's own, by backtracking ----

-- The position after the single-character class that starts at p.
local function class_end(pattern, p)
    local c = sub(pattern, p, p)
    if c == "%" then
        if p == #pattern then error("malformed pattern (ends with '%')", 0) end
        return p + 2
    end
    if c ~= "[" then return p + 1 end
    p = p + (sub(pattern, p + 1, p + 1) == "^" and 2 or 1)
    repeat
        if p > #pattern then error("malformed pattern (missing ']')", 0) end
        p = p + (sub(pattern, p, p) == "%" and 2 or 1)
    until sub(pattern, p, p) == "]"
    return p + 1
end

-- Does the class pattern[p, stop) hold the character? A class alone is matched by Lua itself, which takes no time.
local function in_class(char, pattern, p, stop)
    if char == "" then return false end
    local first = sub(pattern, p, p)
    if first == "." then return true end
    if first ~= "%" and first ~= "[" then return first == char end
    return host.string.find(char, sub(pattern, p, stop - 1)) ~= nil
end

local OPEN, POSITION = -1, -2

-- A function of (start, p) that gives the end of the match of pattern from p at subject's start, or nil; and captures.
local function matcher(subject, pattern)
    local starts, lengths, level = {}, {}, 0
    local match

    local function repeat_most(s, p, stop)
        local n = 0
        while in_class(sub(subject, s + n, s + n), pattern, p, stop) do n = n + 1 end
        for k = n, 0, -1 do
            local finish = match(s + k, stop + 1)
            if finish then return finish end
        end
    end

    local function repeat_least(s, p, stop)
        while true do
            local finish = match(s, stop + 1)
            if finish then return finish end
            if not in_class(sub(subject, s, s), pattern, p, stop) then return nil end
            s = s + 1
        end
    end

    local function open_capture(s, p, kind)
        level = level + 1
        if level > 32 then error("too many captures", 0) end
        starts[level], lengths[level] = s, kind
        local finish = match(s, p)
        if not finish then level = level - 1 end
        return finish
    end

    local function close_capture(s, p)
        for k = level, 1, -1 do
            if lengths[k] == OPEN then
                lengths[k] = s - starts[k]
                local finish = match(s, p)
                if not finish then lengths[k] = OPEN end
                return finish
            end
        end
        error("invalid pattern capture", 0)
    end

    local function back_reference(s, p, k)
        if k < 1 or k > level or lengths[k] == OPEN then error("invalid capture index", 0) end
        if lengths[k] == POSITION then return nil end
        local text = sub(subject, starts[k], starts[k] + lengths[k] - 1)
        if sub(subject, s, s + #text - 1) == text then return match(s + #text, p) end
    end

    local function balance(s, p)
        local opening, closing = sub(pattern, p, p), sub(pattern, p + 1, p + 1)
        if closing == "" then error("malformed pattern (missing arguments to '%b')", 0) end
        if sub(subject, s, s) ~= opening then return nil end
        local depth = 1
        for k = s + 1, #subject do
            local c = sub(subject, k, k)
            if c == closing then
                depth = depth - 1
                if depth == 0 then return match(k + 1, p + 2) end
            elseif c == opening then
                depth = depth + 1
            end
        end
    end

    local function frontier(s, p)
        if sub(pattern, p, p) ~= "[" then error("missing '[' after '%f' in pattern", 0) end
        local stop = class_end(pattern, p)
        local before, after = s == 1 and "\0" or sub(subject, s - 1, s - 1), sub(subject, s, s)
        if after == "" then after = "\0" end
        if not in_class(before, pattern, p, stop) and in_class(after, pattern, p, stop) then return match(s, stop) end
    end

    local function class_item(s, p)
        local stop = class_end(pattern, p)
        local suffix = sub(pattern, stop, stop)
        if suffix == "*" then return repeat_most(s, p, stop) end
        if suffix == "-" then return repeat_least(s, p, stop) end
        local here = in_class(sub(subject, s, s), pattern, p, stop)
        if suffix == "+" then return here and repeat_most(s + 1, p, stop) or nil end
        if suffix == "?" then return here and match(s + 1, stop + 1) or match(s, stop + 1) end
        if here then return match(s + 1, stop) end
    end

    function match(s, p)
        if p > #pattern then return s end
        local c, following = sub(pattern, p, p), sub(pattern, p + 1, p + 1)
        if c == "(" and following == ")" then return open_capture(s, p + 2, POSITION) end
        if c == "(" then return open_capture(s, p + 1, OPEN) end
        if c == ")" then return close_capture(s, p + 1) end
        if c == "$" and p == #pattern then return s == #subject + 1 and s or nil end
        if c == "%" and following == "b" then return balance(s, p + 2) end
        if c == "%" and following == "f" then return frontier(s, p + 2) end
        if c == "%" and host.string.find(following, "%d") then
            return back_reference(s, p + 2, host.tonumber(following))
        end
        return class_item(s, p)
    end

    local function capture(k)
        if lengths[k] == POSITION then return starts[k] end
        if lengths[k] == OPEN then error("unfinished capture", 0) end
        return sub(subject, starts[k], starts[k] + lengths[k] - 1)
    end

    -- All captures, or the whole match where there are none (unless `none` says to give nothing then).
    local function captures(start, finish, none)
        if level == 0 and not none then return sub(subject, start, finish - 1) end
        local found = {}
        for k = 1, level do found[k] = capture(k) end
        return host.table.unpack(found, 1, level)
    end

    local function begin(s, p)
        level = 0
        return match(s, p)
    end
    return begin, captures
end

local function texts(name, ...)
    for k = 1, select("#", ...) do
        local value = select(k, ...)
        if type(value) ~= "string" then error("string." .. name .. " expects a string, got " .. type(value), 0) end
    end
end

local function start_of(s, init)
    init = init or 1
    if init < 0 then init = #s + init + 1 end
    return init < 1 and 1 or init
end

local function find_plain(s, text, init)
    for k = init, #s - #text + 1 do
        if sub(s, k, k + #text - 1) == text then return k, k + #text - 1 end
    end
    return nil
end

-- The first match at or after init: its start, its end (exclusive) and the captures' function.
local function search(s, pattern, init)
    local anchored = sub(pattern, 1, 1) == "^"
    local match, captures = matcher(s, pattern)
    for start = init, anchored and init or #s + 1 do
        local finish = match(start, anchored and 2 or 1)
        if finish then return start, finish, captures end
    end
end

function env.string.find(s, pattern, init, is_plain)
    texts("find", s, pattern)
    init = start_of(s, init)
    if init > #s + 1 then return nil end
    is_plain = is_plain or not host.string.find(pattern, "[%^%$%*%+%?%.%(%[%%%-]")
    if is_plain then return find_plain(s, pattern, init) end
    local start, finish, captures = search(s, pattern, init)
    if not start then return nil end
    return start, finish - 1, captures(start, finish, true)
end

function env.string.match(s, pattern, init)
    texts("match", s, pattern)
    init = start_of(s, init)
    if init > #s + 1 then return nil end
    local start, finish, captures = search(s, pattern, init)
    if not start then return nil end
    return captures(start, finish)
end

function env.string.gmatch(s, pattern)
    texts("gmatch", s, pattern)
    local match, captures = matcher(s, pattern)
    local from, last = 1, nil
    return function()
        for start = from, #s + 1 do
            local finish = match(start, 1)
            if finish and finish ~= last then
                from, last = finish, finish
                return captures(start, finish)
            end
        end
        from = #s + 2
        return nil
    end
end

local replacers = {
    ["function"] = function(replacement, whole, ...) return replacement(...) end,
    table = function(replacement, whole, first) return replacement[first] end,
    string = function(replacement, whole, ...)
        local found = host.table.pack(...)
        return (host.string.gsub(replacement, "%%(.?)", function(c)
            if c == "%" then return "%" end
            if c == "0" then return whole end
            local k = host.tonumber(c)
            if not k or k > found.n then error("invalid use of '%' in replacement string", 0) end
            return plain(found[k])
        end))
    end,
}
replacers.number = function(replacement) return host.tostring(replacement) end

function env.string.gsub(s, pattern, replacement, most)
    texts("gsub", s, pattern)
    local replacer = replacers[type(replacement)]
    if not replacer then error("string.gsub cannot replace by a " .. type(replacement), 0) end
    local anchored = sub(pattern, 1, 1) == "^"
    local match, captures = matcher(s, pattern)
    local pieces, count, start, last = {}, 0, 1, nil
    while not most or count < most do
        local finish = match(start, anchored and 2 or 1)
        if finish and finish ~= last then
            count = count + 1
            local whole = sub(s, start, finish - 1)
            local new = replacer(replacement, whole, captures(start, finish))
            pieces[#pieces + 1] = new and host.tostring(new) or whole
            start, last = finish, finish
        elseif start <= #s then
            pieces[#pieces + 1] = sub(s, start, start)
            start = start + 1
        else
            break
        end
        if anchored then break end
    end
    pieces[#pieces + 1] = sub(s, start)
    return host.table.concat(pieces), count
end

-- Strings keep their methods; "10" + 1 is an error, not 11.
local text_methods = host.getmetatable("")
for name in host.pairs(text_methods) do text_methods[name] = nil end
text_methods.__index = env.string

-- ---- tables ----

function env.table.unpack(list, i, j)
    i, j = i or 1, j or #list
    charge(j - i)
    return host.table.unpack(list, i, j)
end

function env.table.concat(list, separator, i, j)
    charge(rawlen(list))
    return host.table.concat(list, separator, i, j)
end

function env.table.move(from, first, last, at, to)
    to = to or from
    local backwards = at > first and at <= last and to == from
    for k = 0, last - first do
        local offset = backwards and last - first - k or k
        to[at + offset] = from[first + offset]
    end
    return to
end

function env.table.insert(list, ...)
    local n = rawlen(list) + 1
    if select("#", ...) == 1 then
        list[n] = ...
        return
    end
    local position, value = ...
    if select("#", ...) ~= 2 or host.math.type(position) ~= "integer" or position < 1 or position > n then
        error("table.insert expects a list, a position in it and a value", 0)
    end
    for k = n, position + 1, -1 do list[k] = list[k - 1] end
    list[position] = value
end

function env.table.remove(list, position)
    local n = rawlen(list)
    position = position or n
    if n + 1 == position or (n == 0 and position == 0) then
        local value = list[position]
        list[position] = nil
        return value
    end
    if position < 1 or position > n then error("table.remove: position out of bounds", 0) end
    local value = list[position]
    for k = position, n do list[k] = list[k + 1] end
    return value
end

local function less(a, b) return a < b end

-- A merge sort: equal elements keep their order, and a comparison that makes no sense does no harm.
function env.table.sort(list, before)
    before = before or less
    local n, width = rawlen(list), 1
    local from, to = {}, {}
    for k = 1, n do from[k] = list[k] end
    while width < n do
        for low = 1, n, 2 * width do
            local middle, high = host.math.min(low + width, n + 1), host.math.min(low + 2 * width, n + 1)
            local left, right = low, middle
            for k = low, high - 1 do
                if left < middle and (right >= high or not before(from[right], from[left])) then
                    to[k], left = from[left], left + 1
                else
                    to[k], right = from[right], right + 1
                end
            end
        end
        from, to, width = to, from, 2 * width
    end
    for k = 1, n do list[k] = from[k] end
end

env.pairs, env.next, env._TABLE = order.pairs, order.next, order.remember

return env
