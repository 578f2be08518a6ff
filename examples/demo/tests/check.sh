# check NAME EXPECTED COMMAND...: print `ok` or `not ok` for what the command prints.
# A command that fails has its exit code behind its output, as in `(exit 2)`.
check() {
    check_name=$1
    check_expected=$2
    shift 2
    check_got=$("$@" 2>&1) || check_got="$check_got (exit $?)"
    if [ "$check_got" = "$check_expected" ]; then
        echo "ok $check_name"
    else
        echo "not ok $check_name: expected '$check_expected', got '$check_got'"
    fi
}

# summary OUTPUT: print the output and its counts; fail unless checks ran and all passed.
summary() {
    passed=$(printf '%s\n' "$1" | grep -c '^ok ')
    failed=$(printf '%s\n' "$1" | grep -c '^not ok ')
    printf '%s\n' "$1" "$passed passed, $failed failed"
    [ "$passed" -gt 0 ] && [ "$failed" -eq 0 ]
}
