#!/bin/sh
# Formulas that were once compiled to something else, by random_specs.py and by people: each passes gram check,
# also where memory that nobody has set is NaN, and so does its gradient.
# To add one, put a spec into tests/found, its first comment saying what went wrong.
cd "$(dirname "$0")/.." || exit 1
. tests/lib/tally.sh
unset='clang -O1 -march=native -ftrivial-auto-var-init=pattern'
for spec in tests/found/*.lua; do
    check "$spec" timeout 120 build/gram check "$spec" --jit tcc
    check "$spec, its gradient" timeout 120 build/gram check "$spec" --jit tcc --grad
    check "$spec, emitted" timeout 120 build/gram check "$spec" --jit cc --cc "$unset"
done
end
