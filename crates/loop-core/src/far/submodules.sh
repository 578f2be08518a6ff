# Gives the folders of submodules their files, at the commits that the index of the current folder names: $1 = repository
# with those commits, which is only read, $2 = a place for indexes, $3 = `all`, or `tracked` to leave other files alone.
# What is ignored there stays, as a build cache. A folder whose commit is not at hand is emptied.
fill_submodules() (
  git -c core.quotePath=false ls-files -st | grep '^H 160000 [^ ]* 0.[^"]' | while IFS= read -r entry; do
    path=${entry#*"$(printf '\t')"} commit=${entry#H 160000 }
    commit=${commit%% *}
    # Nobody is led out of the checkout by what a gate has put in place of the folder.
    if [ -L "$path" ] || [ ! -d "$path" ]; then rm -rf "./$path" && mkdir -p "./$path" || exit; fi
    (
      cd "./$path" || exit
      export GIT_DIR="$1" GIT_WORK_TREE="$PWD" GIT_INDEX_FILE="$2"
      rm -rf .git "$2" "$2.lock"
      if git read-tree "$commit" 2>/dev/null; then
        # Files that are as they should be keep their times, so nothing is built again for this.
        git -c core.fsmonitor=false update-index -q --refresh || :
        git checkout-index -q -f -a || exit
        [ "$3" = tracked ] || git -c core.fsmonitor=false clean -ffdq || exit
        fill_submodules "$1" "$2.below" "$3" || exit
      else
        find . -mindepth 1 -delete || exit
      fi
      rm -f "$2"
    ) || exit
  done
)
