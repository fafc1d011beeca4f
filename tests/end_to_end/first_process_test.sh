#!/usr/bin/env bash
# The command line and the service as process 1, as in a container without an init: they must handle orphans and
# signals.

# shellcheck source=tests/end_to_end/lib.sh
source "$(dirname "$0")/lib.sh"

CONTAINER=(unshare --user --map-root-user --mount --pid --fork --kill-child --mount-proc --)
if ! said=$("${CONTAINER[@]}" true 2>&1); then
  echo "first_process_test: SKIPPED: no namespaces here: ${said//$'\n'/; }"
  exit 0
fi

# start_first ARGS...: starts the graph as process 1, in the background.
start_first() {
  rm -f "$TEST_TMPDIR/out" "$TEST_TMPDIR/err"
  "${CONTAINER[@]}" "$GRAPH" "$@" --state_dir="$STATE" >"$TEST_TMPDIR/out" 2>"$TEST_TMPDIR/err" &
  BUILD=$!
}

# first PID: the first child of a process; of `unshare`, the process that it has started as process 1.
first() {
  cut -d" " -f1 "/proc/$1/task/$1/children"
}

working_on() {
  grep -qx "$1" "$LAB/ran" 2>/dev/null
}

# Ignores TERM, as does its child, which outlives it and becomes an orphan.
# shellcheck disable=SC2016 # for the job to expand
STUBBORN='trap "" TERM
  (while :; do sleep 0.1; done) &
  while :; do sleep 0.1; done'

# A job that ignores TERM is killed after its timeout.
fresh
when_made limited/a "$STUBBORN"
start_first build limited/a --grace_period=0.2
ended 1
says out "TIMEOUT: ran longer than its timeout of 3 seconds"
nobody_left || fail "processes are left: $(left_behind)"
lawful

# TERM cancels the build and ends its jobs.
fresh
when_made raw/a "$STUBBORN"
start_first build clean/a --grace_period=0.2
soon "the start of the job" working_on raw/a
kill -TERM "$(first "$BUILD")"
ended 130
says out "cancelled by the signal SIGTERM"
nobody_left || fail "processes are left: $(left_behind)"
lawful
fact "^build_request  CANCELLED"

# shellcheck disable=SC2016 # for the jobs to expand
daemonize() {
  when_made raw/a 'setsid sh -c "sleep 0.2" </dev/null >/dev/null 2>&1 & disown; echo $! >"$LAB/daemon"'
  when_made clean/a 'while read -r pid <"$LAB/daemon" && [[ -e /proc/$pid ]]; do sleep 0.02; done'
}

# The build does not wait for a daemon that a job has started, and the daemon leaves no zombie.
fresh
daemonize
start_first build clean/a
ended 0
ran raw/a clean/a
lawful

# When the process of the build is killed, all its jobs end, and the next command reports it.
fresh
when_made raw/a 'while :; do sleep 0.1; done'
start_first build raw/a
soon "the start of the job" working_on raw/a
kill -KILL "$(first "$(first "$BUILD")")"
ended 137
nobody_left || fail "processes are left: $(left_behind)"

# The service: the timeout of a job, a cancelled build, and TERM to the service itself.
fresh
when_made limited/a "$STUBBORN"
when_made raw/a "$STUBBORN"
"${CONTAINER[@]}" "$GRAPH.service" --port=0 --grpc_port=0 --output=json --grace_period=0.2 --state_dir="$STATE" \
  >"$TEST_TMPDIR/service" &
SERVICE=$!
soon "the start of the service" grep -q grpc "$TEST_TMPDIR/service"
SERVER="$(sed -E 's/.*"grpc": "([^"]*)".*/\1/' "$TEST_TMPDIR/service")"
run 1 build limited/a
says out "TIMEOUT: ran longer than its timeout of 3 seconds"
graph build raw/a >"$TEST_TMPDIR/out" 2>"$TEST_TMPDIR/err" &
BUILD=$!
soon "the start of the job" working_on raw/a
run 0 cancel "$(the_build)"
ended 130
soon "the end of the job" nobody_left
kill -TERM "$(first "$SERVICE")"
code=0
wait "$SERVICE" || code=$?
[[ "$code" == 0 ]] || fail "the service ended with $code"
unset SERVICE
echo "first_process_test: passed"
