#!/bin/sh
# The agent of the demo: a script that plays a developer and a reviewer.
#
# It knows only its prompt (stdin) and the tree it stands in, so a run that was killed and resumed comes
# to the same end. Two of its first tries are wrong on purpose: `lines` fails its test, which a gate finds,
# and `longest` forgets quotes, which no test notices but the reviewer does. Each is repaired when the notes
# of the next iteration say so. It never runs the tests: whether it told the truth is for the loop to find out.
set -eu
prompt=$(cat)

# section HEADING: the part of the prompt under `## HEADING`.
section() {
    printf '%s\n' "$prompt" | awk -v heading="## $1" '
        /^## / { inside = (index($0, heading) == 1); next }
        inside { print }'
}

# The developer -----------------------------------------------------------------------------------

# finish SUBJECT SENTENCE: commit, report, and ask for completion when no task is left.
finish() {
    git add -- commands tests "$LOOP_PLAN_PATH"
    git diff --cached --quiet || git commit --quiet --no-gpg-sign -m "$1"
    left=$(grep -c '^- \[ \] Add ' "$LOOP_PLAN_PATH" || true)
    echo "$2 $left of 5 tasks left."
    [ "$left" -ne 0 ] || echo '<promise>COMPLETE</promise>'
}

# tick NAME: mark the task of this command as done; the plan is whole at every instant.
tick() {
    sed "s/^- \[ \] \(Add \`tally $1 \)/- [x] \1/" "$LOOP_PLAN_PATH" >"$LOOP_PLAN_PATH.new"
    mv "$LOOP_PLAN_PATH.new" "$LOOP_PLAN_PATH"
}

add_words() {
    cat >commands/words <<'EOF'
# words FILE: how many words the text has
[ $# -eq 1 ] || usage
readable "$1"
awk '{ count += NF } END { print count + 0 }' <"$1"
EOF
    cat >tests/words_test.sh <<'EOF'
. tests/check.sh

check "words: of the poem" 27 ./tally words poem.txt
check "words: of nothing" 0 ./tally words /dev/null
check "words: without a file" "usage: tally words FILE (exit 2)" ./tally words
check "words: no such file" "tally: cannot read ode.txt (exit 1)" ./tally words ode.txt
EOF
    tick words
    finish "Add tally words" "Added \`tally words\`, which counts what stands between blanks."
}

add_lines() {
    cat >commands/lines <<'EOF'
# lines FILE: how many lines the text has
[ $# -eq 1 ] || usage
readable "$1"
wc -l <"$1" | tr -d ' '
EOF
    cat >tests/lines_test.sh <<'EOF'
. tests/check.sh

check "lines: of the poem, whose last one has no newline" 5 ./tally lines poem.txt
check "lines: without a file" "usage: tally lines FILE (exit 2)" ./tally lines
EOF
    tick lines
    finish "Add tally lines" "Added \`tally lines\` on top of wc, with a test from section 4.2."
}

repair_lines() {
    cat >commands/lines <<'EOF'
# lines FILE: how many lines the text has
[ $# -eq 1 ] || usage
readable "$1"
awk 'END { print NR }' <"$1"
EOF
    finish "Count a last line without a newline" \
        "The gate was right: wc counts newlines, not lines. \`tally lines\` now asks awk."
}

add_top() {
    cat >commands/top <<'EOF'
# top N FILE: the N most frequent words with their counts
[ $# -eq 2 ] || usage
case $1 in '' | *[!0-9]*) usage ;; esac
readable "$2"
tr -cs 'A-Za-z' '\n' <"$2" | tr 'A-Z' 'a-z' | sed '/^$/d' | sort | uniq -c |
    sort -k1,1nr -k2,2 | awk -v most="$1" 'NR <= most { print $1, $2 }'
EOF
    cat >tests/top_test.sh <<'EOF'
. tests/check.sh

check "top: capital letters do not matter" "3 rain" ./tally top 1 poem.txt
check "top: same count, alphabetical order" "3 rain 3 the" sh -c 'echo $(./tally top 2 poem.txt)'
check "top: a number that is none" "usage: tally top N FILE (exit 2)" ./tally top many poem.txt
EOF
    tick top
    finish "Add tally top" "Added \`tally top\`; a count that is not a number gets the usage line."
}

add_longest() {
    cat >commands/longest <<'EOF'
# longest FILE: the longest word
[ $# -eq 1 ] || usage
readable "$1"
cat $1 | tr -cs 'A-Za-z' '\n' | awk 'length($0) > length(best) { best = $0 } END { print best }'
EOF
    cat >tests/longest_test.sh <<'EOF'
. tests/check.sh

check "longest: of the poem" broken ./tally longest poem.txt
check "longest: without a file" "usage: tally longest FILE (exit 2)" ./tally longest
EOF
    tick longest
    finish "Add tally longest" "Added \`tally longest\`, the first of the longest words wins."
}

repair_longest() {
    cat >commands/longest <<'EOF'
# longest FILE: the longest word
[ $# -eq 1 ] || usage
readable "$1"
tr -cs 'A-Za-z' '\n' <"$1" | awk 'length($0) > length(best) { best = $0 } END { print best }'
EOF
    cat >tests/longest_test.sh <<'EOF'
. tests/check.sh

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp poem.txt "$folder/my poem.txt"

check "longest: of the poem" broken ./tally longest poem.txt
check "longest: a file name with a blank" broken ./tally longest "$folder/my poem.txt"
check "longest: without a file" "usage: tally longest FILE (exit 2)" ./tally longest
EOF
    finish "Quote the file name in tally longest" \
        "The reviewer was right: \`tally longest\` now takes a file name with a blank, and a test says so."
}

add_marks() {
    cat >commands/marks <<'EOF'
# marks FILE: the words of each line as tally marks
[ $# -eq 1 ] || usage
readable "$1"
awk '{
    row = ""
    for (left = NF; left >= 5; left -= 5) row = row "||||/ "
    row = row substr("||||", 1, left)
    sub(/ $/, "", row)
    print row
}' <"$1"
EOF
    cat >tests/marks_test.sh <<'EOF'
. tests/check.sh

marks() { printf '%s\n' "$1" | ./tally marks /dev/stdin; }

check "marks: four" "||||" marks "a b c d"
check "marks: five" "||||/" marks "a b c d e"
check "marks: six" "||||/ |" marks "a b c d e f"
check "marks: an empty line" "" marks ""
check "marks: without a file" "usage: tally marks FILE (exit 2)" ./tally marks
EOF
    tick marks
    finish "Add tally marks" "Added \`tally marks\`, five words to a bundle."
}

implement() {
    case $(section "Notes from the last iteration") in
    *"not ok lines:"*) repair_lines; return ;;
    *"commands/longest:"*"outside quotes"*) repair_longest; return ;;
    esac
    case $(section "Selected task") in
    *"\`tally words "*) add_words ;;
    *"\`tally lines "*) add_lines ;;
    *"\`tally top "*) add_top ;;
    *"\`tally longest "*) add_longest ;;
    *"\`tally marks "*) add_marks ;;
    *) finish "Nothing to do" "No task was selected." ;;
    esac
}

# The reviewer ------------------------------------------------------------------------------------

# unquoted: fail unless a line (stdin) has an argument or variable outside quotes. `case $1 in` needs none.
unquoted() {
    sed "s/'[^']*'//g; s/\"[^\"]*\"//g; s/case \\$[a-z0-9]* in//; /^#/d" | grep -q '\$[a-z0-9@*{]'
}

# findings: one line for each thing wrong with the commands that the run changed.
findings() {
    git diff --name-only --diff-filter=AM "$LOOP_BASE_COMMIT" HEAD -- commands | while IFS= read -r file; do
        if git diff "$LOOP_BASE_COMMIT" HEAD -- "$file" | sed -n '/^+++/d; s/^+//p' | unquoted; then
            echo "- $file: an argument stands outside quotes, a file name with a blank breaks it (§6)"
        fi
        [ -f "tests/${file#commands/}_test.sh" ] || echo "- $file: has no test (§2)"
    done
}

review() {
    found=$(findings)
    echo "Read$(git diff --shortstat "$LOOP_BASE_COMMIT" HEAD)."
    if [ -n "$found" ]; then
        printf 'CHANGES REQUESTED\n%s\n' "$found"
    else
        echo APPROVED
    fi
}

case $LOOP_PHASE in
review) review ;;
*) implement ;;
esac
