#!/bin/sh
# Gate: run every tests/*_test.sh. A test whose first line begins with `# skip` is skipped.
set -u
cd "$(dirname "$0")/.." || exit 1
PATH=$PWD/bin:$PWD:$PATH # a built greet goes before the script
passed=0 failed=0 skipped=0

# check EXPECTED COMMAND...: count whether the command prints what is expected.
check() {
    expected=$1
    shift
    got=$("$@" 2>&1)
    if [ "$got" = "$expected" ]; then
        passed=$((passed + 1))
        echo "ok $*"
    else
        failed=$((failed + 1))
        echo "not ok $*: expected '$expected', got '$got'"
    fi
}

for test in tests/*_test.sh; do
    case $(sed -n 1p "$test") in
    "# skip"*) skipped=$((skipped + 1)) ;;
    *) . "./$test" ;;
    esac
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
