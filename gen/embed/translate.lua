-- Templates: real C with few holes.
--
--   % code        a line of Lua
--   ${value}      a hole: a string or number; alone on its line it may hold many lines, each takes the line's
--                 indentation, and an empty one leaves no line
--
-- translate(text) gives Lua source, a line for each line of the template, so that an error names the template's line.
-- Run with a function that takes text, and one that takes an indentation and the lines that get it.

-- A line with holes, as an expression.
local function parts(line)
   local out, at = {}, 1
   while true do
      local from, to, hole = line:find("%$(%b{})", at)
      out[#out + 1] = ("%q"):format(line:sub(at, (from or 0) - 1))
      if not from then return table.concat(out, " .. ") end
      out[#out + 1] = "(" .. hole:sub(2, -2) .. ")"
      at = to + 1
   end
end

local function translate(text)
   local out, plain = { "local _text, _lines = ...;" }, {}
   local function add(code)
      if plain[1] then out[#out + 1] = ("_text(%q)"):format(table.concat(plain)) end
      plain = {}
      out[#out + 1] = code
   end
   for line in text:gmatch("[^\n]*\n") do
      local code = line:match("^%s*%%(.*)$")
      local indent, hole = line:match("^(%s*)%$(%b{})\n$")
      if code then
         add(code)
      elseif hole then
         add(("_lines(%q, %s)\n"):format(indent, hole:sub(2, -2)))
      elseif line:find("$", 1, true) then
         add(("_text(%s)"):format(parts(line)))
      else
         plain[#plain + 1] = line
      end
   end
   add("")
   return table.concat(out)
end

return translate
