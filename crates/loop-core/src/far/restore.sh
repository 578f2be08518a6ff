# Puts the worktree back to a checkpoint: $1 = git folder of the worktree, $2 = common git folder, $3 = run branch,
# $4 = tip of the run branch, $5 = snapshot of the worktree, $6 = trusted repository, $7 = the folders that are shown, a
# line each; none = all.
set -eu
gitdir=$1 common=$2 branch=$3 head=$4 snapshot=$5 trusted=$6 folders=$7
ref="refs/heads/$branch"
g() { git -c core.fsmonitor=false -c core.hooksPath=/dev/null -c gc.auto=0 -c core.fsync=all "$@"; }
regular() { [ -f "$1" ] && [ ! -L "$1" ]; }
if ! regular .git || [ "$(head -c 4096 .git)" != "gitdir: $gitdir" ]; then
  rm -rf .git && printf 'gitdir: %s\n' "$gitdir" > .git
fi
for state in rebase-merge rebase-apply MERGE_HEAD MERGE_MSG MERGE_MODE AUTO_MERGE REBASE_HEAD CHERRY_PICK_HEAD REVERT_HEAD BISECT_LOG sequencer; do
  rm -rf "${gitdir:?}/$state"
done
if ! regular "$gitdir/commondir" || [ "$(head -c 4096 "$gitdir/commondir")" != ../.. ]; then
  rm -rf "$gitdir/commondir" && echo ../.. > "$gitdir/commondir"
fi
rm -f "$gitdir"/*.lock "$common/$ref.lock"
regular "$gitdir/HEAD" || rm -rf "$gitdir/HEAD"
printf 'ref: %s\n' "$ref" > "$gitdir/HEAD"
if [ -e "$common/$ref" ] && ! regular "$common/$ref"; then rm -rf "${common:?}/$ref"; fi
if ! g cat-file -e "$head^{tree}" 2>/dev/null || ! g cat-file -e "$snapshot^{tree}" 2>/dev/null; then
  g fetch -q --no-tags --no-write-fetch-head "$trusted" "$head" "$snapshot"
fi
g update-ref "$ref" "$head"
rm -rf "$gitdir/index"
[ -z "$folders" ] || printf '%s\n' "$folders" | g sparse-checkout set --cone --stdin
g read-tree --reset -u "$snapshot"
if [ -n "$folders" ]; then
  # Files elsewhere: those that are there for another reason are the snapshot's too, and so are those that it alone has.
  g checkout-index -q -f -a
  g diff-tree -r -z --no-renames --name-only --diff-filter=d "$head" "$snapshot" |
    g checkout-index -q -f -z --stdin --ignore-skip-worktree-bits
fi
g clean -ffdq
g reset -q
