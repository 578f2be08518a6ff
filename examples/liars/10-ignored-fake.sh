#!/bin/sh
# Puts a greet into the ignored folder bin/, so that the gate passes here and nowhere else.
set -eu
mkdir -p bin
printf '%s\n' '#!/bin/sh' 'echo "Hello, ${1:-world}!"' >bin/greet
chmod +x bin/greet
edit() { new=$(sed "$2" "$1") && printf '%s\n' "$new" >"$1"; } # FILE SED-COMMANDS
grep -q Ada README.md || printf '\n    $ ./greet Ada\n    Hello, Ada!\n' >>README.md
edit "$LOOP_PLAN_PATH" 's/\[ \] Greet/[x] Greet/; s/\[ \] Show/[x] Show/'
git commit --quiet --no-gpg-sign --all -m "Greet by name" >/dev/null || true
echo "Both tasks are done and tested."
echo '<promise>COMPLETE</promise>'
