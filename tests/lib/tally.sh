# What the tests in sh share, sourced at the repository's root: a scratch folder, $folder, and a count of what held.
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
passed=0 failed=0

# check WHAT COMMAND...: it has to succeed; where it does not, the end of its output is shown.
check() {
    what=$1
    shift
    if "$@" >"$folder/out" 2>&1; then
        passed=$((passed + 1))
    else
        echo "failed: $what: exit status $?"
        failed=$((failed + 1))
        tail -n 40 "$folder/out" | sed 's/^/    /'
    fi
}

# The last line of a test, and its exit status.
end() {
    echo "$passed passed, $failed failed"
    [ $failed -eq 0 ]
}
