#!/bin/sh
# Ticks both tasks and does neither.
set -eu
edit() { new=$(sed "$2" "$1") && printf '%s\n' "$new" >"$1"; } # FILE SED-COMMANDS
edit "$LOOP_PLAN_PATH" 's/\[ \] Greet/[x] Greet/; s/\[ \] Show/[x] Show/'
git commit --quiet --no-gpg-sign --all -m "Greet by name" >/dev/null || true
echo "Both tasks are done and tested."
echo '<promise>COMPLETE</promise>'
