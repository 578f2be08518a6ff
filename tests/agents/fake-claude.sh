#!/bin/sh
# Stands in for the command `claude` and prints canned stream-json; FAKE_CLAUDE says how it misbehaves, and the numbers
# in it are those of the calls that do. Every other call does one task of the plan and asks for completion when all are
# done.
set -eu
session= resumed=no
while [ $# -gt 0 ]; do
  case $1 in
    --session-id) session=$2; shift ;;
    --resume) session=$2 resumed=yes; shift ;;
  esac
  shift
done
cat >/dev/null

# What it knows of its earlier calls: where the real one keeps its sessions.
state=${CLAUDE_CONFIG_DIR:-$HOME/.claude}/projects
mkdir -p "$state"
echo "$session $resumed" >> "$state/calls"
call=$(wc -l < "$state/calls" | tr -d ' ')

start() {
  printf '{"type":"system","subtype":"init","session_id":"%s","model":"fake-1[1m]","claude_code_version":"0.0.1"}\n' "$session"
}
use() { # ID: 10 tokens in, 5 out
  printf '{"type":"assistant","message":{"id":"%s","model":"fake-1","content":[{"type":"text","text":"Call %s."}],"usage":{"input_tokens":10,"output_tokens":5}},"session_id":"%s"}\n' "$1" "$call" "$session"
}
result() { # TEXT MORE
  printf '{"type":"result","subtype":"success","session_id":"%s","num_turns":1,"result":"%s",%s}\n' "$session" "$1" "$2"
}
totals() { # FACTOR: so many times 10 tokens in, 5 out, 0.01 $
  printf '"is_error":false,"total_cost_usd":0.0%s,"modelUsage":{"fake-1[1m]":{"inputTokens":%s0,"outputTokens":%s}}' "$1" "$1" "$((5 * $1))"
}
work() {
  for name in one two; do
    if grep -q "\[ \] Write $name.txt" "$LOOP_PLAN_PATH"; then
      echo "$name" > "$name.txt"
      sed "s/\[ \] Write $name.txt/[x] Write $name.txt/" "$LOOP_PLAN_PATH" > plan.new
      cat plan.new > "$LOOP_PLAN_PATH"
      rm plan.new
      git add -A && git commit -qm "Write $name.txt"
      break
    fi
  done
  if grep -q '\[ \] Write' "$LOOP_PLAN_PATH"; then answer='One is left.'; else answer='Done.\n\n<promise>COMPLETE</promise>'; fi
}

case ${FAKE_CLAUDE:-}-$call in
  truncated-1)
    start; use m1
    result Done. "$(totals 1)" | head -c 40
    exit 0 ;;
  two-results-*)
    start; use m1; work
    result 'Wait.' "$(totals 1)"
    use m2
    result "$answer" "$(totals 2)"
    exit 0 ;;
  success-with-error-*) start; result 'something broke' '"is_error":true'; exit 0 ;;
  session-changes-1) start; use m1; exit 1 ;;
  session-changes-2) session=another-one; start; use m1; exit 1 ;;
  silent-*) exec sleep 300 ;;
  banner-*) start; exec sleep 300 ;;
  lingers-*) start; use m1; work; result "$answer" "$(totals 1)"; exec sleep 300 ;;
  no-result-*) start; use m1; exit 0 ;;
  exit-1-*) start; use m1; work; result "$answer" "$(totals 1)"; exit 1 ;;
  limit-1)
    start
    printf '{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":%s},"session_id":"%s"}\n' "$(($(date +%s) + 3))" "$session"
    result "You've hit your session limit" '"is_error":true,"api_error_status":429'
    exit 1 ;;
  no-login-*) start; result 'Not logged in · Please run /login' '"is_error":true,"api_error_status":null'; exit 1 ;;
  stuck-*) start; use m1; exec sleep 300 ;;
  state-1)
    start
    for file in settings.json CLAUDE.md skills/deploy/SKILL.md .credentials.json history.jsonl; do
      if [ -e "$CLAUDE_CONFIG_DIR/$file" ]; then
        printf '{"type":"assistant","message":{"id":"%s","model":"fake-1","content":[{"type":"text","text":"%s"}]}}\n' "$file" "$(cat "$CLAUDE_CONFIG_DIR/$file")"
      fi
    done
    echo 'renewed login' > "$CLAUDE_CONFIG_DIR/.credentials.json"
    if echo changed 2>/dev/null > "$CLAUDE_CONFIG_DIR/settings.json"; then exit 3; fi
    work
    result "$answer" "$(totals 1)"
    exit 0 ;;
  lost-1) start; use m1; exit 1 ;;
  lost-2)
    printf '{"type":"result","subtype":"error_during_execution","is_error":true,"session_id":"%s","errors":["No conversation found with session ID: %s"]}\n' "$session" "$session"
    exit 1 ;;
esac
start
use m1
work
result "$answer" "$(totals 1)"
