# Read by the scripts beside it: what a cluster is called, where it is, and what is running of it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-${HOME:-/var/tmp}/.cache}/agentloop-tests

say() { printf '%s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }

# Sets state, name and home of the cluster whose folder is $1.
cluster() {
  state=$(realpath -m "${1:-$cache/cluster}")
  name=agentloop-$(printf %s "$state" | cksum | cut -d' ' -f1)
  # One hierarchy is enough to know processes by; with cgroup v1 it is the one that counts them.
  home=/sys/fs/cgroup/$name
  [ ! -d /sys/fs/cgroup/pids ] || home=/sys/fs/cgroup/pids/$name
}

# The cluster's cgroup in every hierarchy, made or not.
hierarchies() { awk -v name="$name" '$3 ~ /^cgroup2?$/ {print $2 "/" name}' /proc/mounts; }

# The processes of the cluster. The kernel keeps this record: nothing leaves a cgroup by dying parents, by a killed
# `up` or by an id that was given to another process since.
processes() { [ ! -d "$home" ] || find "$home" -name cgroup.procs -exec cat {} + 2>/dev/null || :; }

# The process that holds the cluster's namespaces, if it runs.
holder() {
  pid=$(cat "$state/pid" 2>/dev/null) && processes | grep -qx "$pid" && printf %s "$pid"
}

# need COMMAND:PACKAGE...: installed on Debian as root, named elsewhere.
need() {
  packages=
  for pair; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || [ -e "${pair%%:*}" ] || packages="$packages ${pair#*:}"
  done
  [ -n "$packages" ] || return 0
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 ||
    die "MISSING: packages$packages; install them with your system's package manager"
  say "installing$packages" >&2
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $packages; } \
    >/tmp/loop-apt.log 2>&1 || die "MISSING: packages$packages could not be installed; see /tmp/loop-apt.log"
}
