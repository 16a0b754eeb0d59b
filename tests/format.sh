#!/bin/sh
# The C is as `make format` leaves it. Another version of clang-format has another taste, so this is asked of 14 alone.
cd "$(dirname "$0")/.." || exit 1
if ! clang-format --version 2>/dev/null | grep -q 'version 14\.'; then
    echo 'skipped: there is no clang-format 14 here'
    echo '0 passed, 0 failed'
elif make -s format FORMAT='--dry-run -Werror'; then
    echo '1 passed, 0 failed'
else
    echo '0 passed, 1 failed'
    exit 1
fi
