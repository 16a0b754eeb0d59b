#!/bin/sh
# Formulas that were once compiled to something else, by random_specs.py and by people: each passes gram check,
# also where memory that nobody has set is NaN, and so does its gradient.
# To add one, put a spec into tests/found, its first comment saying what went wrong.
cd "$(dirname "$0")/.." || exit 1
out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT
unset='clang\ -O1\ -march=native\ -ftrivial-auto-var-init=pattern'
passed=0 failed=0
for spec in tests/found/*.lua; do
    for jit in 'tcc' 'cc --cc gcc\ -O1\ -march=native' "cc --cc $unset" 'tcc --grad'; do
        if eval "timeout 120 build/gram check $spec --jit $jit" >"$out" 2>&1; then
            passed=$((passed + 1))
        else
            echo "$spec, $jit: exit status $?" && cat "$out"
            failed=$((failed + 1))
        fi
    done
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
