# shellcheck shell=bash
# Functions that the end-to-end tests share. Sourced, not run.
#
# GRAPH is the launcher of the graph under test; its state and its data are in the folder of the test. If SERVER is set,
# commands use the service at this address instead of the state directory STATE.

set -euo pipefail

GRAPH="$PWD/$1"
HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
STATE="$TEST_TMPDIR/state"
export BASIC_GRAPH_DATA="$TEST_TMPDIR/data" PODCAST_DATA="$TEST_TMPDIR/data" DATABUILD_DATA_ROOT="$TEST_TMPDIR/data"
export MPLCONFIGDIR="$TEST_TMPDIR/matplotlib"
cd "$TEST_TMPDIR"

fail() {
  echo "FAILED, line ${BASH_LINENO[-2]}: $1" >&2
  for file in out err; do
    echo "--- $file" >&2
    head -c 5000 "$TEST_TMPDIR/$file" >&2 || true
  done
  exit 1
}

# graph ARGS...: runs the graph.
graph() {
  if [[ -n "${SERVER:-}" ]]; then
    DATABUILD_SERVER="$SERVER" "$GRAPH" "$@"
  else
    "$GRAPH" "$@" --state_dir="$STATE"
  fi
}

# run EXIT_CODE ARGS...: runs the graph, keeps what it prints in out and err, and checks its exit code.
run() {
  local expected="$1" code=0 asked
  shift
  asked="$*"
  graph "$@" >"$TEST_TMPDIR/out" 2>"$TEST_TMPDIR/err" || code=$?
  [[ "$code" == "$expected" ]] || fail "'${asked:0:200}' ended with $code, not $expected"
}

# says FILE TEXT: checks that a file (out or err) contains a text.
says() {
  grep -qF -- "$2" "$TEST_TMPDIR/$1" || fail "$1 does not say '$2'"
}

# events: prints the kinds and statuses of the newest build's events, one per line, without ids and times.
events() {
  graph events latest --output=json |
    python3 -c '
import json, sys
for line in sys.stdin:
    event = json.loads(line)
    for kind in ("build_request", "job_graph", "partition", "job", "delegation"):
        if kind in event:
            print(kind, event[kind].get("status", ""))
'
}

# both_ways EXPECTATIONS: runs a function on the command line and again through the graph's service, and checks that
# both leave the same events, logs and data.
both_ways() {
  local way
  for way in here there; do
    STATE="$TEST_TMPDIR/$way"
    [[ "$way" == here ]] || serve
    "$1"
    left_behind_by_builds >"$STATE.left"
    mv "$TEST_TMPDIR/data" "$STATE.data" # both ways write to the same path, which is in events
  done
  kill -TERM "$SERVICE"
  wait "$SERVICE" || fail "the service ended with $?"
  diff "$TEST_TMPDIR/here.left" "$TEST_TMPDIR/there.left" || fail "command line and service leave different events or logs"
  diff -r "$TEST_TMPDIR/here.data" "$TEST_TMPDIR/there.data" || fail "command line and service leave different data"
}

# serve: starts the graph's service over the state directory STATE, and sends the following commands to it.
serve() {
  : >"$TEST_TMPDIR/service"
  "$GRAPH.service" --port=0 --grpc_port=0 --output=json --state_dir="$STATE" >"$TEST_TMPDIR/service" &
  SERVICE=$!
  soon "the start of the service" grep -q grpc "$TEST_TMPDIR/service"
  SERVER="$(sed -E 's/.*"grpc": "([^"]*)".*/\1/' "$TEST_TMPDIR/service")"
}

# left_behind_by_builds: prints the events and logs of all builds, oldest first, without ids, times and measurements.
left_behind_by_builds() {
  local build
  for build in $(graph builds | awk 'NR > 1 { print $1 }' | sort); do
    echo "=== a build"
    graph events "$build" --output=json | python3 "$HERE/masked.py"
    graph logs "$build" --output=json | python3 "$HERE/masked.py"
  done
}

# The following functions are for graphs of the lab, whose jobs run code of the tests: see lab/lab.sh.

# fresh: starts over with an empty state directory and jobs without code of the test.
fresh() {
  CASE=$((${CASE:-0} + 1))
  STATE="$TEST_TMPDIR/state.$CASE"
  export LAB="$TEST_TMPDIR/lab.$CASE"
  mkdir "$LAB"
}

# when_made REF BASH: sets the code that the job runs before it produces a partition.
when_made() {
  printf '%s\n' "$2" >"$LAB/exec.${1//\//.}"
}

# when_asked KIND BASH: sets the code that `config` of the job runs for partitions of a kind.
when_asked() {
  printf '%s\n' "$2" >"$LAB/config.$1"
}

# ran REF...: checks that jobs ran for exactly these partitions, in any order, since the last check.
ran() {
  local expected actual
  expected="$(printf '%s\n' "$@" | sort)"
  actual="$(sort "$LAB/ran" 2>/dev/null || true)"
  rm -f "$LAB/ran"
  [[ "$actual" == "$expected" ]] || fail "jobs worked on '${actual//$'\n'/ }', not on '${expected//$'\n'/ }'"
}

# the_build: prints the id of the newest build.
the_build() {
  graph builds --limit=1 --output=json |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["builds"][0]["build_request_id"])'
}

# facts: prints the events of the newest build as text, without numbers and times.
facts() {
  graph events latest | sed -E 's/^ *[0-9]+ [0-9:.]+ //'
}

# fact REGEX [COUNT]: checks that COUNT events (default: one) of the newest build match.
fact() {
  local count
  count="$(facts | grep -cE -- "$1" || true)"
  [[ "$count" == "${2:-1}" ]] || fail "$count events, not ${2:-1}, match '$1':"$'\n'"$(facts)"
}

# made REF: succeeds if the newest build has produced a partition.
made() {
  facts 2>/dev/null | grep -q "^partition  AVAILABLE  $1"
}

# knows REF: checks that the record of a partition is available.
knows() {
  run 0 partitions --status=AVAILABLE
  says out "$1"
}

# lawful: checks the events of the newest build against the contract.
lawful() {
  local found
  found="$(graph events latest --output=json | python3 "$HERE/lawful.py")" || fail "$found"
}

# start ARGS...: runs the graph in the background as BUILD, in its own process group, as a terminal does.
start() {
  rm -f "$TEST_TMPDIR/out" "$TEST_TMPDIR/err" # an old file would be taken for the new one
  set -m
  "$GRAPH" "$@" --state_dir="$STATE" >"$TEST_TMPDIR/out" 2>"$TEST_TMPDIR/err" &
  BUILD=$!
  set +m
}

# soon WHAT COMMAND...: waits until a command succeeds.
soon() {
  local what="$1" deadline=$((SECONDS + 100))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || fail "$what did not happen"
    sleep 0.05
  done
}

# ended EXIT_CODE: waits for the end of BUILD, and checks its exit code.
ended() {
  local code=0
  soon "the end" gone "$BUILD"
  wait "$BUILD" || code=$?
  [[ "$code" == "$1" ]] || fail "it ended with $code, not $1"
}

# gone PID: succeeds if a process has ended.
gone() {
  ! kill -0 "$1" 2>/dev/null || grep -q "^State:.*Z" "/proc/$1/status" 2>/dev/null
}

# left_behind: prints the job processes and their children that have not ended.
left_behind() {
  local folder
  for folder in $(grep -lzE "^DATABUILD_BUILD_REQUEST_ID=" /proc/[0-9]*/environ 2>/dev/null || true); do
    folder="${folder%/environ}"
    if grep -qzFx "LAB=$LAB" "$folder/environ" 2>/dev/null; then
      echo "${folder#/proc/}"
    fi
  done
}

nobody_left() {
  [[ -z "$(left_behind)" ]]
}

end_all() {
  local pid
  [[ -z "${SERVICE:-}" ]] || kill -KILL "$SERVICE" 2>/dev/null || true
  if [[ -n "${LAB:-}" ]]; then
    for pid in $(jobs -p) $(left_behind); do
      kill -KILL "$pid" 2>/dev/null || true
    done
  fi
}
trap end_all EXIT
