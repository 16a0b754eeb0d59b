#!/bin/sh
# Runs test programs one after the other, shows what failed, and sums up their last lines 'N passed, N failed'.
# A program that ends without such a line, or with another status than its line says, counts as one failure.
passed=0 failed=0
out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT
for test in "$@"; do
    case $test in
    *.py) ${PYTHON:-python3} "$test" >"$out" 2>&1 ;;
    *.sh) sh "$test" >"$out" 2>&1 ;;
    *) "$test" >"$out" 2>&1 ;;
    esac
    status=$?
    line=$(tail -n 1 "$out" | grep -xE '[0-9]+ passed, [0-9]+ failed')
    p=${line%% passed*} f=${line##*, }
    f=${f%% failed}
    [ -n "$line" ] || { p=0 f=1; }
    [ $status -eq 0 ] || [ "$f" -gt 0 ] || f=1
    printf '%-32s %5s passed, %s failed\n' "$(basename "$test")" "$p" "$f"
    [ "$f" -eq 0 ] || sed 's/^/    /' "$out" | tail -n 60
    passed=$((passed + p)) failed=$((failed + f))
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
