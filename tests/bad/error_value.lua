-- expect: error_value.lua:2: error: the spec raised an error that is a table
error({ code = 3 })
