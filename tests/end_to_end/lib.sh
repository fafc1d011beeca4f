# shellcheck shell=bash
# What the end-to-end tests share. Sourced, not run.
#
# GRAPH is the launcher of the graph under test; its state and its data live in the test's own folder.

set -euo pipefail

GRAPH="$PWD/$1"
STATE="$TEST_TMPDIR/state"
export BASIC_GRAPH_DATA="$TEST_TMPDIR/data" PODCAST_DATA="$TEST_TMPDIR/data" FLIGHTS_DATA="$TEST_TMPDIR/data"
export MPLCONFIGDIR="$TEST_TMPDIR/matplotlib"
cd "$TEST_TMPDIR"

fail() {
  echo "FAILED: $1" >&2
  cat "$TEST_TMPDIR"/out "$TEST_TMPDIR"/err >&2 || true
  exit 1
}

# run EXIT_CODE ARGS...: runs the graph, keeps what it prints in out and err, and checks its exit code.
run() {
  local expected="$1" code=0
  shift
  "$GRAPH" "$@" --state_dir="$STATE" >"$TEST_TMPDIR/out" 2>"$TEST_TMPDIR/err" || code=$?
  [[ "$code" == "$expected" ]] || fail "'$*' ended with $code, not $expected"
}

# says FILE TEXT: checks that a file (out or err) has a text.
says() {
  grep -qF -- "$2" "$TEST_TMPDIR/$1" || fail "$1 does not say '$2'"
}

# events: the kinds and statuses of the newest build's events, one a line, without ids and times.
events() {
  "$GRAPH" events latest --output=json --state_dir="$STATE" |
    python3 -c '
import json, sys
for line in sys.stdin:
    event = json.loads(line)
    for kind in ("build_request", "job_graph", "partition", "job", "delegation"):
        if kind in event:
            print(kind, event[kind].get("status", ""))
'
}
