-- A progress bar and a curve, in text.
local show = {}

local is_terminal = os.execute("test -t 2")

-- Redraws one line on a terminal; elsewhere says nothing but the last.
function show.progress(done, total, text)
    if not is_terminal and done < total then return end
    local filled = 30 * done // total
    io.stderr:write(("\r[%s%s] %d/%d  %s "):format(("#"):rep(filled), ("."):rep(30 - filled), done, total, text))
    if done == total then io.stderr:write("\n") end
end

-- The values from the first to the last, on a logarithmic scale.
function show.curve(values, name, width, height)
    width, height = width or 64, height or 12
    local means, high, low = {}, -math.huge, math.huge
    for i = 1, width do
        local first, last, sum = (i - 1) * #values // width + 1, i * #values // width, 0
        for k = first, last do sum = sum + math.log(math.max(values[k], 1e-30), 10) end
        means[i] = sum / (last - first + 1)
        high, low = math.max(high, means[i]), math.min(low, means[i])
    end
    local step = (high - low) / (height - 1)
    if step == 0 then step = 1 end
    for row = 0, height - 1 do
        local marks = {}
        for i, mean in ipairs(means) do marks[i] = math.floor((high - mean) / step + 0.5) == row and "*" or " " end
        print((("%9.1e |%s"):format(10 ^ (high - row * step), table.concat(marks)):gsub(" +$", "")))
    end
    print(("%9s +%s %d steps"):format(name, ("-"):rep(width), #values))
end

return show
