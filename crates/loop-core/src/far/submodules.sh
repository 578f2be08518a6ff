# Gives the folders of submodules their files, at the commits that the index of the current folder names: $1 = repository
# with those commits, which is only read, $2 = a place for indexes, $3 = `all`, or `tracked` to leave other files alone.
# What is ignored there stays, as a build cache. A folder whose commit is not at hand is emptied; whatever else goes wrong
# is an error, for an empty folder may be what a gate wants to see.
fill_submodules() (
  entries=$(git -c core.quotePath=false ls-files -st) || exit
  printf '%s\n' "$entries" | grep '^H 160000 [^ ]* 0.[^"]' | while IFS= read -r entry; do
    path=${entry#*"$(printf '\t')"} commit=${entry#H 160000 }
    commit=${commit%% *}
    # Nobody is led out of the checkout by what somebody has put in place of the folder, or of one above it.
    if [ -L "$path" ] || [ ! -d "$path" ]; then rm -rf "./$path" && mkdir -p "./$path" || exit; fi
    [ "$(cd -P "./$path" && pwd -P)" = "$(pwd -P)/$path" ] || continue
    (
      cd "./$path" || exit
      export GIT_DIR="$1" GIT_WORK_TREE="$PWD" GIT_INDEX_FILE="$2"
      rm -rf .git "$2" "$2.lock" || exit
      if git cat-file -e "$commit^{tree}" 2>/dev/null; then
        git read-tree "$commit" || exit
        # Attributes that nobody committed would have other bytes taken for those of the commit.
        find . -name .gitattributes -prune -exec rm -rf {} + || exit
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
