-- Globals of every template, beside the model's fields; see gen/embed/translate.lua.

-- How many "job->batch * 8 * " are by themselves, and a division where it is one.
function all(items) return items == "" and "1" or items:sub(1, -4) end
function over(count) return count == 1 and "" or " / " .. count end
