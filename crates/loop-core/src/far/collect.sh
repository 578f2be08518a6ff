# Reports the state of the worktree after a step, putting right what would make it unusable.
# $1 = git folder of the worktree, $2 = common git folder, $3 = run branch, $4 = last known tip,
# $5 = `repair` after a step or `watch` while the agent runs, $6 = temp folder of the run,
# $7 = the folders that are shown, a line each; none = all.
# Prints lines: `repair TEXT`, `head COMMIT`, `snapshot COMMIT`, `uncommitted 0|1`, `pack FILE`.
set -u
gitdir=$1 common=$2 branch=$3 known=$4 mode=$5 scratch=$6 folders=$7
ref="refs/heads/$branch"
g() { git -c core.fsmonitor=false -c core.hooksPath=/dev/null -c gc.auto=0 -c core.fsync=all -c commit.gpgSign=false "$@"; }
say() { printf '%s\n' "$*"; }
# The first line of a file, by the shell itself: each process counts, once an iteration.
first() { IFS= read -r line < "$1" || [ -n "$line" ]; }
regular() { [ -f "$1" ] && [ ! -L "$1" ]; }

if [ "$mode" = repair ]; then
  # Git would wait for ever at a pipe in place of one of its files.
  for file in "$common"/config "$common"/config.worktree "$common"/packed-refs "$common"/shallow "$common"/info/* "$common"/objects/info/*; do
    if [ -e "$file" ] || [ -L "$file" ]; then regular "$file" || rm -rf "$file"; fi
  done
  rm -rf "$scratch/large" "$scratch/snapshot.index.new"
  regular "$scratch/snapshot.index" || rm -rf "$scratch/snapshot.index"
  line=
  if ! regular .git || ! first .git || [ "$line" != "gitdir: $gitdir" ]; then
    rm -rf .git && printf 'gitdir: %s\n' "$gitdir" > .git
    say "repair the worktree's .git link was damaged and has been restored"
  fi
  if ! regular "$gitdir/HEAD"; then
    rm -rf "$gitdir/HEAD"; printf 'ref: %s\n' "$ref" > "$gitdir/HEAD"
    say "repair the worktree's HEAD was damaged and has been restored"
  fi
  line=
  if ! regular "$gitdir/commondir" || ! first "$gitdir/commondir" || [ "$line" != ../.. ]; then
    rm -rf "$gitdir/commondir" && echo ../.. > "$gitdir/commondir"
    say "repair the worktree's way to its repository was damaged and has been restored"
  fi
  index=
  # Git opens whatever stands there, and would wait for ever at a pipe.
  if ! regular "$gitdir/index"; then
    rm -rf "$gitdir/index"; index=damaged
    # What is not shown is known by the index alone: made without these settings, it would call all of that deleted.
    [ -z "$folders" ] || printf '%s\n' "$folders" | g sparse-checkout set --cone --stdin 2>/dev/null || :
  fi
  if [ -e "$common/$ref" ] && ! regular "$common/$ref"; then
    rm -rf "${common:?}/$ref"
  fi
  for lock in "$gitdir"/*.lock "$common/$ref.lock"; do
    [ ! -e "$lock" ] || rm -rf "$lock"
  done
  open=
  for state in rebase-merge rebase-apply MERGE_HEAD CHERRY_PICK_HEAD REVERT_HEAD BISECT_LOG sequencer; do
    if [ -e "$gitdir/$state" ]; then
      rm -rf "${gitdir:?}/$state" "$gitdir/MERGE_MSG" "$gitdir/MERGE_MODE" "$gitdir/AUTO_MERGE" "$gitdir/REBASE_HEAD"
      open=$state
    fi
  done
  line=
  if regular "$common/$ref" && first "$common/$ref" && [ -n "$line" ]; then
    tip=$line
  elif ! tip=$(g rev-parse -q --verify "$ref^{commit}" 2>/dev/null); then
    g update-ref "$ref" "$known" && say "repair the run branch was gone and is back at $known"
    tip=$known
  fi
  line=
  first "$gitdir/HEAD" || :
  if [ "$line" != "ref: $ref" ]; then
    off=$(g rev-parse -q --verify 'HEAD^{commit}' 2>/dev/null || :)
    g symbolic-ref HEAD "$ref"
    if [ -z "$open" ] && [ -n "$off" ] && g merge-base --is-ancestor "$tip" "$off" 2>/dev/null; then
      g update-ref "$ref" "$off"
      say "repair HEAD was off the run branch; the branch was moved forward to its commits"
    else
      g reset -q
      say "repair HEAD was off the run branch and has been put back on it; its files were kept, uncommitted"
    fi
  fi
  if [ -n "$open" ]; then
    g reset -q
    say "repair an unfinished $open was closed; its files were kept, uncommitted"
  fi
  if [ -n "$index" ]; then
    g reset -q
    say "repair the worktree's index was damaged and has been made again"
  fi
fi

line=
if regular "$common/$ref" && first "$common/$ref" && [ -n "$line" ]; then
  head=$line
else
  head=$(g rev-parse -q --verify "$ref^{commit}") || { say "failed the run branch cannot be read"; exit 3; }
fi
snapshot=$head uncommitted=0
# Most steps end with everything committed, and then one process says so.
if ! status=$(GIT_OPTIONAL_LOCKS=0 g status --porcelain --no-renames 2>/dev/null) || [ -n "$status" ]; then
  uncommitted=1
  export GIT_INDEX_FILE="$scratch/snapshot.index"
  # Whole or not at all: a copy that was cut off would be taken for the index.
  # Where not everything is shown, only the index itself knows what is.
  if { [ ! -f "$GIT_INDEX_FILE" ] || [ -e "$gitdir/info/sparse-checkout" ]; } && regular "$gitdir/index"; then
    { cp "$gitdir/index" "$GIT_INDEX_FILE.new" && mv "$GIT_INDEX_FILE.new" "$GIT_INDEX_FILE"; } 2>/dev/null || :
  fi
  rm -f "$GIT_INDEX_FILE.lock"
  # Files over the cap are left out by their size: git would read a sparse one to its end, which takes minutes.
  g ls-files -z --others --modified --exclude-standard 2>/dev/null | xargs -0 -n 200 sh -c '[ $# -gt 0 ] || exit 0
    for file; do shift; set -- "$@" "./$file"; done
    exec find "$@" -prune -type f -size +262144k -print0' files > "$scratch/large" 2>/dev/null
  if [ -s "$scratch/large" ]; then
    say "repair files over 256 MiB were left out of the worktree's snapshot"
  fi
  add() {
    { printf '.\0'; [ ! -s "$scratch/large" ] || xargs -0 printf ':(exclude,literal)%s\0' < "$scratch/large"; } |
      g add -A --sparse --ignore-errors --pathspec-from-file=- --pathspec-file-nul >/dev/null 2>&1
  }
  # A file larger than the cap ends the command, not the machine's disk: the snapshot is then the last commit.
  if tree=$( (ulimit -f 524288 2>/dev/null; add; g write-tree) 2>/dev/null); then
    export GIT_AUTHOR_NAME=loop GIT_AUTHOR_EMAIL=loop GIT_COMMITTER_NAME=loop GIT_COMMITTER_EMAIL=loop
    export GIT_AUTHOR_DATE='@0 +0000' GIT_COMMITTER_DATE='@0 +0000'
    snapshot=$(g commit-tree "$tree" -p "$head" -m 'worktree snapshot') || snapshot=$head
  else
    rm -f "$GIT_INDEX_FILE" "$GIT_INDEX_FILE.lock"
    say "repair the worktree could not be snapshotted (a file over 256 MiB, or one that cannot be read)"
  fi
  unset GIT_INDEX_FILE
fi
say "head $head"
say "snapshot $snapshot"
say "uncommitted $uncommitted"
