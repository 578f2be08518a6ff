#!/bin/sh
# Everything the tests need, then all tests: `tests/run.sh [--require all] [RUNG ...]`.
#
# Rungs: lint, unit, loop, agent, worktrunk, cluster, demo. Each prints its time against a budget. Where a machine
# cannot run a rung, this says which and why; with CI=true or --require all that is a failure, but for a node where the
# machine itself forbids one.
set -eu
cd "$(dirname "$0")/.."
rungs= require=${CI:+all}
while [ $# -gt 0 ]; do
  case $1 in
    --require) require=$2; shift ;;
    -h | --help) sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 0 ;;
    -*) echo "unknown option $1; see tests/run.sh --help" >&2; exit 2 ;;
    *) rungs="$rungs $1" ;;
  esac
  shift
done
rungs=${rungs:-lint unit loop agent worktrunk cluster demo}
export LOOP_REQUIRE="${require:-}"

say() { printf '%s\n' "$*"; }
missing() {
  say "MISSING: $1"
  if [ "$require" = all ]; then say "0 passed, 1 failed"; exit 1; fi
}

# Packages: installed on Debian as root, named elsewhere.
need=
for pair in git:git bwrap:bubblewrap jq:jq cc:gcc; do
  command -v "${pair%%:*}" >/dev/null 2>&1 || need="$need ${pair#*:}"
done
if [ -n "$need" ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    say "installing$need"
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $need; } >/tmp/loop-apt.log 2>&1 ||
      missing "packages$need could not be installed; see /tmp/loop-apt.log"
  else
    missing "packages$need; install them with your system's package manager"
  fi
fi
if ! command -v cargo >/dev/null 2>&1 && [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
  PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"; export PATH
fi
if ! cargo --version >/dev/null 2>&1; then
  # With another HOME, rustup's cargo no longer finds its toolchains; they stand beside it.
  beside=$(dirname "$(dirname "$(dirname "$(command -v cargo || echo /none/none/none)")")")/.rustup
  [ ! -d "$beside" ] || export RUSTUP_HOME="$beside"
fi
cargo --version >/dev/null 2>&1 || { say "MISSING: cargo; install Rust with rustup"; exit 1; }

# Tests do not see the caller's git setup, and leave nothing behind.
scratch=$(mktemp -d)
node=
trap '[ -z "$node" ] || tests/cluster/down "$node"; rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
mkdir "$scratch/tmp"
export TMPDIR="$scratch/tmp"
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 LOOP_DATA_DIR="$scratch/data"

failed=0 passed=0 table=
rung() { # NAME BUDGET-MINUTES COMMAND...
  name=$1 budget=$2; shift 2
  case " $rungs " in *" $name "*) ;; *) return 0 ;; esac
  say "== $name"
  start=$(date +%s)
  if "$@"; then result=passed passed=$((passed + 1)); else result=FAILED failed=$((failed + 1)); fi
  took=$(($(date +%s) - start))
  table="$table$(printf '%-9s %6s s of %3s min  %s' "$name" "$took" "$budget" "$result")
"
}

lint() {
  cargo fmt --all --check && cargo clippy --release --workspace --all-targets --quiet -- -D warnings
}
unit() { cargo test --release --workspace --exclude loop-tests --quiet; }
loop() {
  cargo build --release --bin loopctl --quiet &&
    cargo test --release -p loop-tests --lib --bins --test loop --quiet
}
# The agents' own packages, in a folder that outlives the checkout; exact versions by the lock file beside the list.
npm_packages() {
  command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 || { missing "node and npm, for the real agents"; return 1; }
  versions=$(jq -r '.dependencies | map(tostring) | join("-")' tests/agents/claude/package.json)
  LOOP_TEST_NPM=${XDG_CACHE_HOME:-${HOME:-/var/tmp}/.cache}/agentloop-tests/npm-$versions
  export LOOP_TEST_NPM
  [ ! -e "$LOOP_TEST_NPM/node_modules/.bin/claude" ] || return 0
  # Beside it and then moved, so that what is there is whole.
  new=$LOOP_TEST_NPM.$$
  rm -rf "$new" && mkdir -p "$new" && cp tests/agents/claude/package.json tests/agents/claude/package-lock.json "$new" &&
    (cd "$new" && npm ci --no-audit --no-fund >npm.log 2>&1 && ./node_modules/.bin/claude --version >>npm.log 2>&1) &&
    { [ -e "$LOOP_TEST_NPM" ] || mv "$new" "$LOOP_TEST_NPM"; } && { rm -rf "$new"; return 0; }
  tail -n 20 "$new/npm.log" >&2 || :
  rm -rf "$new"
  unset LOOP_TEST_NPM
  missing "the agents' packages from npm; the registry was not reached, or its answer is not what the lock file says"
  return 1
}
agent() {
  # Without them, what the fake agent does is tested all the same.
  npm_packages || :
  cargo build --release --bin loopctl --quiet && cargo test --release -p loop-tests --test agent --quiet
}
# A program of a crate, in a folder that outlives the checkout. Not optimised it is built in a fraction of the time; static,
# as images get it too. `program CRATE VERSION COMMAND FEATURES...` sets $program, empty when there is none.
program() {
  crate=$1 version=$2 command=$3; shift 3
  place=${XDG_CACHE_HOME:-${HOME:-/var/tmp}/.cache}/agentloop-tests/$crate-$version-static
  program=$place/bin/$command new=$place.$$
  [ ! -x "$program" ] || return 0
  # Beside it and then moved, so that what is there is whole.
  rm -rf "$new" && mkdir -p "$new" && say "building $crate $version" &&
    CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_DEV_STRIP=symbols RUSTFLAGS='-C target-feature=+crt-static' \
      cargo install "$crate" --version "$version" --locked --debug "$@" \
      --target x86_64-unknown-linux-gnu --root "$new" >"$new/build.log" 2>&1 && "$new/bin/$command" --version >>"$new/build.log" 2>&1 &&
    { [ -e "$place" ] || mv "$new" "$place"; } && { rm -rf "$new"; return 0; }
  tail -n 20 "$new/build.log" >&2 || :
  rm -rf "$new"
  program=
  missing "$crate $version; it was not reached, or could not be built"
}
# The real `wt`, without coloured commands.
worktrunk_command() {
  unset LOOP_TEST_WT
  program worktrunk 0.67.0 wt --no-default-features --features cli
  [ -z "$program" ] || export LOOP_TEST_WT="$program"
}
# A server of S3.
s3_server() {
  unset LOOP_TEST_S3
  program s3s-fs 0.14.1 s3s-fs --features binary
  [ -z "$program" ] || export LOOP_TEST_S3="$program"
}
worktrunk() {
  # Without it, what follows from a missing or broken one is tested all the same.
  worktrunk_command
  cargo build --release --bin loopctl --quiet && cargo test --release -p loop-tests --test worktrunk --quiet
}
# Whether root may do here what a node needs; in some containers it may not, and nothing can be installed against that.
may_have_a_node() {
  groups=/sys/fs/cgroup
  [ ! -d $groups/pids ] || groups=$groups/pids
  unshare --mount --net --propagation private true 2>/dev/null &&
    mkdir "$groups/agentloop-probe-$$" 2>/dev/null && rmdir "$groups/agentloop-probe-$$"
}
# A real node with the chart installed on it; what was started is stopped whatever happens.
cluster() {
  if [ -z "${LOOP_TEST_KUBECONFIG:-}" ] && [ "$(id -u)" = 0 ] && ! may_have_a_node; then
    say "SKIPPED: this machine lets nobody make namespaces and control groups, so that no node can run on it"
    return 0
  fi
  [ "$(id -u)" = 0 ] || [ -n "${LOOP_TEST_KUBECONFIG:-}" ] ||
    { missing "root, for a node of its own, or a cluster in LOOP_TEST_KUBECONFIG"; return 1; }
  # Without them, the tests that need them say so.
  worktrunk_command
  s3_server
  target=x86_64-unknown-linux-gnu
  RUSTFLAGS='-C target-feature=+crt-static' cargo build --release --quiet --target $target -p loopd -p loop-runner &&
    cargo test --release --quiet -p loop-tests --test cluster --no-run || return 1
  # Without them the real agent is not tested there, which its test says.
  npm_packages || :
  node=$scratch/node
  tests/cluster/up "$node" && tests/cluster/images "${CARGO_TARGET_DIR:-target}/$target/release" "$node" &&
    (
      eval "$(tests/cluster/env "$node")" || exit 1
      $LOOP_CLUSTER_RUN helm upgrade --install agentloop charts/agentloop --namespace agentloop --create-namespace \
        --set leaseSeconds=30 ${LOOP_TEST_NPM:+--set agents.claude.image=agentloop/claude:test} --wait --timeout 120s >"$scratch/helm.log" 2>&1 || { cat "$scratch/helm.log" >&2; exit 1; }
      KUBECTL="$LOOP_CLUSTER_RUN kubectl" tests/cluster/crd.sh || exit 1
      cargo test --release --quiet -p loop-tests --test cluster -- --test-threads 1
    )
  result=$?
  tests/cluster/down "$node"
  node=
  return $result
}
demo() {
  cargo run --release --quiet --bin loopctl -- demo >"$scratch/demo.out" 2>"$scratch/demo.err" &&
    cargo run --release --quiet --bin loopctl -- demo --liars >"$scratch/liars.out" 2>"$scratch/liars.err" ||
    { cat "$scratch"/*.err "$scratch"/*.out; return 1; }
  sed -n '2,4p' "$scratch/liars.out"
}

# Budgets in minutes on a bare machine with two cores, the first builds of Kubernetes and Worktrunk included.
rung lint 10 lint
rung unit 13 unit
rung loop 15 loop
rung agent 4 agent
rung worktrunk 8 worktrunk
rung cluster 55 cluster
rung demo 3 demo

say
say "rung        time   budget"
printf '%s' "$table"
say "$passed passed, $failed failed"
[ "$failed" = 0 ]
