# Shows one commit in the current folder: $1 = objects of the trusted repository, $2 = commit,
# $3 = `all`, or `tracked` to put back the commit's files beside what a gate has built, $4 = the folders that are shown,
# a line each; none = all, $5 = repository with the commits of submodules; none = their folders are empty.
set -eu
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_DIR="$PWD/.git" GIT_WORK_TREE="$PWD"
[ "$3" = all ] || rm -rf .git
if [ ! -s .git/objects/info/alternates ]; then
  # A making of it that was killed is made again.
  rm -rf .git
  git init -q --template= .
  mkdir -p .git/objects/info
  printf '%s\n' "$1" > .git/objects/info/alternates
fi
for lock in .git/*.lock; do [ ! -e "$lock" ] || rm -rf "$lock"; done
[ -z "$4" ] || printf '%s\n' "$4" | git -c core.fsmonitor=false sparse-checkout set --cone --stdin
if [ "$3" = tracked ]; then
  # Attributes that nobody committed would have other bytes taken for those of the commit.
  find . -path ./.git -prune -o -name .gitattributes -prune -exec rm -rf {} +
  # Files that are as they should be keep their times, so nothing is built again for this.
  git read-tree "$2"
  git -c core.fsmonitor=false update-index -q --refresh || :
fi
git -c core.hooksPath=/dev/null -c advice.detachedHead=false -c core.fsmonitor=false checkout -q -f --detach "$2" --
[ "$3" = tracked ] || git -c core.fsmonitor=false clean -ffdq
[ -z "$5" ] || fill_submodules "$5" "$PWD/.git/submodule.index" "$3"
