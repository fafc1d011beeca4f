#!/usr/bin/env bash
# What goes wrong: Ctrl-C, kill -9, a state directory that cannot be used, a newer schema.

# shellcheck source=tests/end_to_end/lib.sh
source "$(dirname "$0")/lib.sh"

REF=slow/a_b

# Starts a build whose job waits until the file `go` is there, and returns when the job runs.
start() {
  rm -f "$TEST_TMPDIR/go" "$TEST_TMPDIR/pid"
  "$GRAPH" build "$REF" --state_dir="$STATE" >"$TEST_TMPDIR/out" 2>"$TEST_TMPDIR/err" &
  BUILD=$!
  until [[ -s "$TEST_TMPDIR/pid" ]]; do sleep 0.05; done
  JOB=$(cat "$TEST_TMPDIR/pid")
}

gone() {
  ! kill -0 "$1" 2>/dev/null || grep -q "^State:.*Z" "/proc/$1/status" 2>/dev/null
}

export WAIT_FOLDER="$TEST_TMPDIR"

start
kill -INT "$BUILD"
code=0
wait "$BUILD" || code=$?
[[ "$code" == 130 ]] || fail "an interrupted build ended with $code"
gone "$JOB" || fail "the job outlived the interrupted build"
events | tail -n 1 | grep -q BUILD_STATUS_CANCELLED || fail "the last event is not CANCELLED"

start
kill -KILL "$BUILD"
wait "$BUILD" || true
kill -KILL -- "-$JOB" 2>/dev/null || true
touch "$TEST_TMPDIR/go"
run 0 build "$REF"
says out "built 1 partition"
run 0 partitions --status=AVAILABLE
says out fast/a
[[ "$(cat "$TEST_TMPDIR/fast_runs")" == "xx" ]] || fail "what was finished was built again"
run 0 build "$REF"
says out "nothing to do"

touch "$TEST_TMPDIR/file"
STATE="$TEST_TMPDIR/file" run 2 build "$REF"
says err "--state_dir"

python3 -c 'import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute("PRAGMA user_version = 99")' "$STATE/events.db"
run 3 build "$REF"
says err "newer DataBuild"
run 3 status
echo "trouble_test: passed"
