#!/bin/sh
# Final gate: every `$ ./tally ...` example of the spec prints what the spec says.
set -u
cd "$(dirname "$0")/.." || exit 1
. tests/check.sh

examples=$(sed -n '/^```console$/,/^```$/p' specs/tally.md | grep -v '^```')

# printed LINE: what the spec shows under this example.
printed() {
    printf '%s\n' "$examples" | awk -v example="\$ $1" '
        /^\$ / { inside = ($0 == example); next }
        inside { print }'
}

output=$(
    printf '%s\n' "$examples" | sed -n 's/^\$ //p' | while IFS= read -r line; do
        check "$line" "$(printed "$line")" sh -c "$line"
    done
)
summary "$output"
