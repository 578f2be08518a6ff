#!/bin/sh
# Gate: run every tests/*_test.sh.
set -u
cd "$(dirname "$0")/.." || exit 1
. tests/check.sh

output=$(
    for test in tests/*_test.sh; do
        sh "$test" 2>&1 || echo "not ok $test: ended with exit code $?"
    done
)
summary "$output"
