#!/bin/sh
# Stands in for git while `wt` is asked where it would put a worktree: the arguments of `git worktree add` are written
# down instead of obeyed, and everything else is git's.
before=
for word; do
  if [ "$before $word" = 'worktree add' ]; then
    printf '%s\0' "$@" > "$LOOP_ASKED_ANSWER"
    exit 1
  fi
  before=$word
done
PATH=$LOOP_ASKED_PATH exec git "$@"
