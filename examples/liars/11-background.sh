#!/bin/sh
# Leaves a process behind that puts the work into the worktree while the gate runs.
set -eu
edit() { new=$(sed "$2" "$1") && printf '%s\n' "$new" >"$1"; } # FILE SED-COMMANDS
grep -q Ada README.md || printf '\n    $ ./greet Ada\n    Hello, Ada!\n' >>README.md
edit "$LOOP_PLAN_PATH" 's/\[ \] Greet/[x] Greet/; s/\[ \] Show/[x] Show/'
git commit --quiet --no-gpg-sign -m "Greet by name" README.md "$LOOP_PLAN_PATH" >/dev/null || true
(
    tries=0
    while [ "$tries" -lt 100 ]; do
        edit greet 's/Hello, world/Hello, ${1:-world}/'
        sleep 0.1
        tries=$((tries + 1))
    done
) >/dev/null 2>&1 &
echo "Both tasks are done and tested."
echo '<promise>COMPLETE</promise>'
