# Test reports in the current folder, a checkout: $1 = `forget` or `read`, $2 = glob, $3 = bytes to read at most.
set -eu
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_DIR="$PWD/.git" GIT_WORK_TREE="$PWD"
list() { git -c core.fsmonitor=false ls-files -z "$@"; }
git rev-parse -q --verify HEAD >/dev/null
case $1 in
forget) list --others -- ":(glob)$2" | xargs -0 rm -f -- ;;
read)
  # What the commit holds unchanged is no report of this run. A link or a FIFO is none at all.
  list --others --modified --deduplicate -- ":(glob)$2" | xargs -0 sh -c '
    for file; do
      if [ -f "$file" ] && [ ! -L "$file" ]; then cat -- "$file"; printf "\0"; fi
    done' sh | head -c "$3"
  ;;
esac
