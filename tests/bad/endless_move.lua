-- expect: endless_move.lua:2: error: the spec
table.move({}, 1, 1e15, 2)
