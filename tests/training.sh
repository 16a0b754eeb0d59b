#!/bin/sh
# The scripts in tests/training, whole: each learns its data in seconds and ends with status 0, or it failed.
# GRAM_TEST=all takes three random starts each.
cd "$(dirname "$0")/.." || exit 1
build=${B:-build}
export PYTHONPATH="$build/python" LUA_CPATH="$build/?.so"
. tests/lib/tally.sh
[ "$GRAM_TEST" = all ] && seeds='0 1 2' || seeds=0
for seed in $seeds; do
    for script in "${PYTHON:-python3} tests/training/arithmetic.py" "${LUA:-lua5.4} tests/training/arithmetic.lua" \
        "${PYTHON:-python3} tests/training/fit.py" "${PYTHON:-python3} tests/training/hawkes.py" \
        "${PYTHON:-python3} tests/training/lookup.py" "${PYTHON:-python3} tests/training/tables.py"; do
        check "$script $seed" timeout 300 $script $seed
    done
done
end
