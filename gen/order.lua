-- Tables that remember the order in which their keys came, so that pairs is the same on every run. Lua's own tables
-- forget it, so a spec's text is prepared before it runs: every constructor {...} becomes _TABLE({...}, "its named
-- keys"), and _TABLE gives the table a metatable that notes each new key. Lines stay where they are.
-- Given Lua's own globals and charge(steps).
local host, tools = ...
local find, sub = host.string.find, host.string.sub
local type, rawset, setmetatable, error = host.type, host.rawset, host.setmetatable, host.error
local order = {}

-- ---- remembering ----

-- For each table: keys 1 .. n as they came, and where in that list a key came last (it may have gone and come again).
local histories = setmetatable({}, { __mode = "k" })

local function note(history, key)
    local n = history.n + 1
    history.n, history.keys[n], history.last[key] = n, key, n
end

local remembering = {
    __newindex = function(list, key, value)
        rawset(list, key, value)
        if value ~= nil then note(histories[list], key) end
    end,
}

-- Keys whose coming was not seen ({[k] = v}) are put in order: numbers, texts, then matrices and tables as they were
-- made.
local ranks = { number = 1, string = 2, boolean = 3, userdata = 4, table = 5 }
local made = 0

local function place(key)
    local kind = type(key)
    if kind == "userdata" then return tools.serial(key) or 0 end
    if kind == "table" then return histories[key] and histories[key].made or 0 end
    return kind == "boolean" and (key and 1 or 0) or kind == "function" and 0 or key
end

local function comes_before(a, b)
    local rank_a, rank_b = ranks[type(a)] or 6, ranks[type(b)] or 6
    if rank_a ~= rank_b then return rank_a < rank_b end
    return place(a) < place(b)
end

local function unseen_keys(list, history)
    local keys = {}
    for key in host.next, list do
        tools.charge(1)
        if not (history and history.last[key]) then keys[#keys + 1] = key end
    end
    host.table.sort(keys, comes_before)
    return keys
end

function order.remember(list, names)
    made = made + 1
    local history = { n = 0, keys = {}, last = {}, made = made }
    histories[list] = history
    for index = 1, #list do note(history, index) end
    for name in host.string.gmatch(names, "%S+") do
        if list[name] ~= nil then note(history, name) end
    end
    for _, key in host.ipairs(unseen_keys(list, history)) do note(history, key) end
    return setmetatable(list, remembering)
end

-- ---- pairs and next ----

local function history_of(list)
    local history = histories[list]
    if history then return history end
    history = { n = 0, keys = {}, last = {} }
    for _, key in host.ipairs(unseen_keys(list)) do note(history, key) end
    return history
end

-- The first key at position k or after it that is still there, and the position after.
local function key_from(list, history, k)
    while k <= history.n do
        local key = history.keys[k]
        if history.last[key] == k and list[key] ~= nil then return key, k + 1 end
        k = k + 1
    end
end

local function check_table(list, what)
    if type(list) ~= "table" then error(what .. " expects a table, got " .. type(list), 0) end
end

function order.pairs(list)
    check_table(list, "pairs")
    local history, at, key = history_of(list), 1, nil
    return function()
        if not at then return nil end
        key, at = key_from(list, history, at)
        if key ~= nil then return key, list[key] end
    end
end

function order.next(list, key)
    check_table(list, "next")
    local history = history_of(list)
    local at = key == nil and 0 or history.last[key]
    if not at then error("next: there is no such key", 0) end
    local following = key_from(list, history, at + 1)
    if following ~= nil then return following, list[following] end
end

-- ---- preparing a text ----

local words = {}
for word in host.string.gmatch([[and break do else elseif end false for function goto if in local nil not or repeat
    return then true until while]], "%S+") do words[word] = true end

-- The end of the token at `at`, and its kind: "space", "name", "word", "text" or "other". What specs have most of is
-- tried first.
local function token_end(text, at)
    local _, last = find(text, "^[%a_][%w_]*", at)
    if last then return last, words[sub(text, at, last)] and "word" or "name" end
    _, last = find(text, "^%s+", at)
    if last then return last, "space" end
    local level
    _, last, level = find(text, "^%-%-%[(=*)%[", at)
    local comment = last ~= nil
    if not last then _, last, level = find(text, "^%[(=*)%[", at) end
    if last then
        _, last = find(text, "]" .. level .. "]", last + 1, true)
        return last or #text, comment and "space" or "text"
    end
    _, last = find(text, "^%-%-[^\n]*", at)
    if last then return last, "space" end
    _, last = find(text, "^%.?%d[%w.]*", at)
    if last then return last, "other" end
    local quote = find(text, "^[\"']", at) and sub(text, at, at)
    if not quote then return at, "other" end
    last = at
    repeat
        last = find(text, "[\\" .. quote .. "]", last + 1) or #text
        local escaped = sub(text, last, last) == "\\"
        if escaped then last = last + 1 end
    until not escaped or last >= #text
    return last, "text"
end

-- After these a `{` is the argument of a call.
local function is_callable(kind, token)
    return kind == "name" or kind == "text" or token == ")" or token == "]" or token == "}"
end

function order.prepare(text)
    local pieces, open, at = {}, {}, 1
    local kind, token = "other", ";" -- the last one that was no space
    while at <= #text do
        local last, new_kind = token_end(text, at)
        local new = sub(text, at, last)
        local piece = new
        if new == "{" then
            local call = is_callable(kind, token)
            open[#open + 1] = { names = {}, close = call and "))" or ")" }
            piece = (call and "(" or "") .. "_TABLE({"
        elseif new == "}" and #open > 0 then
            local closed = open[#open]
            open[#open] = nil
            piece = '},"' .. host.table.concat(closed.names, " ") .. '"' .. closed.close
        elseif new_kind == "name" and #open > 0 and (token == "{" or token == "," or token == ";")
            and find(text, "^%s*=[^=]", last + 1) then
            local names = open[#open].names
            names[#names + 1] = new
        end
        pieces[#pieces + 1] = piece
        if new_kind ~= "space" then kind, token = new_kind, new end
        at = last + 1
    end
    return host.table.concat(pieces)
end

return order
