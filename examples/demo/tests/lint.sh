#!/bin/sh
# Gate: every script parses, and every command says on its first line how it is used.
set -u
cd "$(dirname "$0")/.." || exit 1
. tests/check.sh

output=$(
    for script in tally commands/* tests/*.sh; do
        check "syntax of $script" "" sh -n "$script"
    done
    for command in commands/*; do
        check "first line of $command" 1 sed -n "1s/^# ${command#commands/}[^:]*: .*/1/p" "$command"
    done
)
summary "$output"
