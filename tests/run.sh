#!/bin/sh
# Runs test programs, as many at once as there are CPUs, shows what failed, when it fails and again at the end, and sums
# up their last lines 'N passed, N failed'. A program that ends without such a line, or with another status than its
# line says, counts as one failure.
results=$(mktemp -d) || exit 1
trap 'rm -rf "$results"' EXIT

# One program: its line, below it the end of what it printed if it failed.
cat >"$results/job" <<'EOF'
test=$1 out=$(mktemp "$RESULTS/XXXXXX") start=$(date +%s)
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
text=$(printf '%-20s %8s passed, %s failed %5s s' "$(basename "$test")" "$p" "$f" $(($(date +%s) - start)))
if [ "$f" -gt 0 ]; then
    { echo "$(basename "$test"):"; sed 's/^/    /' "$out" | tail -n 20; } >"$RESULTS/$(basename "$test").failed"
    text=$(echo "$text"; sed 's/^/    /' "$out" | tail -n 60)
fi
echo "$text"
echo "$p $f" >>"$RESULTS/counts"
EOF

printf '%s\n' "$@" | RESULTS=$results xargs -P "$(nproc)" -I TEST sh "$results/job" TEST
passed=0 failed=0 ran=0
while read -r p f; do
    passed=$((passed + p)) failed=$((failed + f)) ran=$((ran + 1))
done <"$results/counts"
failed=$((failed + $# - ran))
if [ $failed -gt 0 ]; then
    cat "$results"/*.failed 2>/dev/null
    echo failed: $(ls "$results" | sed -n 's/\.failed$//p')
fi
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
