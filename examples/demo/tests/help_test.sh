. tests/check.sh

check "help: first line" "tally counts what is in a text." sh -c './tally help | sed -n 1p'
check "help: without a command" "$(./tally help)" ./tally
check "help: lists itself" "  tally help: list the commands" sh -c './tally help | grep "tally help"'
check "an unknown command" "tally: no command sing, see tally help (exit 2)" ./tally sing
