#!/bin/sh
# Does the first task, and calls the second blocked, which nothing blocks.
set -eu
edit() { new=$(sed "$2" "$1") && printf '%s\n' "$new" >"$1"; } # FILE SED-COMMANDS
edit greet 's/Hello, world/Hello, ${1:-world}/'
edit "$LOOP_PLAN_PATH" 's/\[ \] Greet/[x] Greet/; s/\[ \] Show/[~] Show/'
git commit --quiet --no-gpg-sign --all -m "Greet by name" >/dev/null || true
echo "One task is done, the other is blocked, so this is complete."
echo '<promise>COMPLETE</promise>'
