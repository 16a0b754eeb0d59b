-- The texts that gram carries, as C: of each file named, on standard output, what gram knows it by.
--
--   runtime/kernel.h      const char gram_text_kernel_h[], the text itself
--   gen/std.lua           const gram_script gram_std_lua, text and code
--   templates/map.c.in    const gram_script gram_template_map, likewise of what the template is translated to
local translate = dofile("gen/embed/translate.lua")

local function read(path)
    local file <close> = assert(io.open(path, "rb"))
    return file:read("a")
end

-- Bytes as strings of C, a line of them after the other.
local function literal(bytes)
    local lines = {}
    for at = 1, #bytes, 24 do
        local line = bytes:sub(at, at + 23):gsub(".", function(c) return ("\\%03o"):format(c:byte()) end)
        lines[#lines + 1] = '\n    "' .. line .. '"'
    end
    return table.concat(lines)
end

local function put_script(symbol, name, text)
    local code = string.dump(assert(load(text, "=" .. name, "t")))
    print(("const gram_script %s = {\"=%s\",%s,%s, %d};"):format(symbol, name, literal(text), literal(code), #code))
end

local function put(path)
    local folder, name, kind = path:match("^(%w+)/.-([^/.]+)(%.[^/]*)$")
    local text = read(path)
    if folder == "templates" then
        put_script("gram_template_" .. name, name .. kind, translate(text))
    elseif folder == "gen" then
        put_script("gram_" .. name .. "_lua", name, text)
    else
        print(("const char gram_text_%s[] =%s;"):format((name .. kind):gsub("%W", "_"), literal(text)))
    end
end

print('#include "script.h"')
for _, path in ipairs { ... } do put(path) end
