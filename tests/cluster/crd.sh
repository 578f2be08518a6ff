#!/bin/sh
# What a real API server takes for a LoopRun or LoopWorker and what it refuses: `KUBECONFIG=... tests/cluster/crd.sh`.
#
# Every file of crd/accepts is taken. Every file of crd/rejects is refused with the words of its first line. So is every
# file of a folder of crd/changes that begins with some, as a change to its before.yaml, whose status is that of its
# status.yaml if there is one. Only the definitions stay behind.
# KUBECTL names another command than kubectl, for instance one with a network namespace before it.
set -eu
cd "$(dirname "$0")"
kubectl=${KUBECTL:-kubectl}
namespace=crd-$$
answer=$(mktemp)
passed=0 failed=0
trap 'rm -f "$answer"; $kubectl delete namespace "$namespace" --wait=false --ignore-not-found >/dev/null 2>&1 || :' EXIT

$kubectl apply --server-side --force-conflicts -f ../../crds >"$answer" 2>&1 || { cat "$answer"; exit 1; }
if grep -i warning "$answer"; then echo "FAILED: the server warns of a definition"; failed=1; fi
$kubectl wait --for=condition=Established --timeout=30s crd/loopruns.agentloop.dev crd/loopworkers.agentloop.dev >/dev/null
$kubectl create namespace "$namespace" >/dev/null
# A server serves a new resource a moment after it says so.
for _ in 1 2 3 4 5 6 7 8 9 10; do
  if $kubectl get loopruns,loopworkers -n "$namespace" >/dev/null 2>&1; then break; fi
  sleep 1
done

apply() { $kubectl apply -n "$namespace" --dry-run=server -f "$1" >"$answer" 2>&1; }
said() { # FILE VERDICT
  if [ "$2" = passed ]; then passed=$((passed + 1)); return; fi
  failed=$((failed + 1))
  echo "FAILED: $1 was $2"
  sed 's/^/  /' "$answer"
}
accepted() {
  if ! apply "$1"; then said "$1" refused
  elif grep -qi warning "$answer"; then said "$1" "taken with a warning"
  else said "$1" passed; fi
}
refused() {
  words=$(sed -n '1s/^# //p' "$1")
  if [ -z "$words" ]; then echo "FAILED: $1 does not say what is expected"; failed=$((failed + 1)); return; fi
  if apply "$1"; then said "$1" taken
  elif grep -qF "$words" "$answer"; then said "$1" passed
  else said "$1" "refused for another reason than: $words"; fi
}

for file in crd/accepts/*.yaml; do accepted "$file"; done
for file in crd/rejects/*.yaml; do refused "$file"; done
for folder in crd/changes/*; do
  $kubectl apply -n "$namespace" -f "$folder/before.yaml" >/dev/null
  if [ -f "$folder/status.yaml" ]; then
    $kubectl patch -n "$namespace" -f "$folder/before.yaml" --subresource=status --type=merge --patch-file "$folder/status.yaml" >/dev/null
  fi
  for file in "$folder"/*.yaml; do
    case ${file##*/} in status.yaml) continue ;; esac
    case $(sed -n 1p "$file") in '#'*) refused "$file" ;; *) accepted "$file" ;; esac
  done
done

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
