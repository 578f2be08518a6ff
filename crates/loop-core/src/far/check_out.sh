# Shows one commit in the current folder: $1 = objects of the trusted repository, $2 = commit.
set -eu
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_DIR="$PWD/.git" GIT_WORK_TREE="$PWD"
if [ ! -d .git ]; then
  git init -q --template= .
  mkdir -p .git/objects/info
  printf '%s\n' "$1" > .git/objects/info/alternates
fi
[ ! -e .git/index.lock ] || rm -rf .git/index.lock
git -c core.hooksPath=/dev/null -c advice.detachedHead=false -c core.fsmonitor=false checkout -q -f --detach "$2" --
git -c core.fsmonitor=false clean -ffdq
