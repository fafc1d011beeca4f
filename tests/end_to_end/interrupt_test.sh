#!/usr/bin/env bash
# Builds that are stopped by Ctrl-C, by TERM, by `cancel` and by SIGKILL.

# shellcheck source=tests/end_to_end/lib.sh
source "$(dirname "$0")/lib.sh"

# begin STUBBORN ARGS...: starts a build whose `raw/b` runs until it is stopped, with a process that it started, and
# returns when both run, and `raw/a` is done. A stubborn one does not heed TERM.
begin() {
  local stubborn="$1"
  shift
  fresh
  # shellcheck disable=SC2016 # for the job to expand
  when_made raw/b "$stubborn"'
    (touch "$LAB/started"; while :; do sleep 0.1; done) &
    touch "$LAB/runs"
    while :; do sleep 0.1; done'
  start build report/a_b --jobs=2 "$@"
  soon "the job" [ -e "$LAB/runs" ]
  soon "what the job starts" [ -e "$LAB/started" ]
  soon "clean/a" made clean/a
  [[ -n "$(left_behind)" ]] || fail "the processes of the job are not seen"
}

# Checks that the build was stopped in order: no process is left, and everything unfinished has a reason.
stopped() {
  ended 130
  nobody_left || fail "processes are left: $(left_behind)"
  says out CANCELLED
  says out "-- retry $(the_build)"
  lawful
  fact "^build_request  CANCELLED"
  fact "^job  CANCELLED .*//tests/end_to_end/lab:raw"
  fact "^partition  FAILED  (raw/b|clean/b|report/a_b)  CANCELLED:" 3
  run 0 status
  says out CANCELLED
  ran raw/a clean/a raw/b
}

# Checks that a retry continues where the build was stopped.
goes_on() {
  when_made raw/b ''
  run 0 retry
  ran raw/b clean/b report/a_b
  lawful
}

# Ctrl-C, which a terminal sends to the whole process group.
begin ''
kill -INT -- "-$BUILD"
stopped
goes_on

# TERM, to the one process.
begin ''
kill -TERM "$BUILD"
stopped

# Ctrl-C, with a job and its child process that both ignore it.
begin 'trap "" TERM INT' --grace_period=0.5
kill -INT -- "-$BUILD"
stopped
goes_on

# A second Ctrl-C cuts a long grace period short.
begin 'trap "" TERM INT' --grace_period=1000
kill -INT -- "-$BUILD"
soon "the first signal's word" grep -qs "a second signal ends its job processes" "$TEST_TMPDIR/err"
kill -INT -- "-$BUILD"
stopped

# A job that needs time to end gets the grace period.
begin ''
# shellcheck disable=SC2016 # for the job to expand
when_made raw/c 'trap "sleep 0.5; touch \"$LAB/tidied\"; exit 0" TERM; touch "$LAB/c_runs"; while :; do sleep 0.1; done'
kill -INT -- "-$BUILD"
stopped
start build raw/c
soon "the job" [ -e "$LAB/c_runs" ]
kill -INT -- "-$BUILD"
ended 130
[[ -e "$LAB/tidied" ]] || fail "the job had no time to tidy up"

# Ctrl-C while the `config` of a job runs.
fresh
# shellcheck disable=SC2016 # for the job to expand
when_asked raw 'touch "$LAB/asked"; while :; do sleep 0.1; done'
start build raw/a
soon "the question" [ -e "$LAB/asked" ]
kill -INT -- "-$BUILD"
ended 130
nobody_left || fail "processes are left: $(left_behind)"
lawful
fact "^build_request  CANCELLED"
ran

# `cancel`, from another process.
begin ''
ID="$(the_build)"
USER=somebody "$GRAPH" cancel "$ID" --state_dir="$STATE" >"$TEST_TMPDIR/cancel_out" || fail "the request was refused"
grep -q "asked build $ID to stop" "$TEST_TMPDIR/cancel_out" || fail "cancel does not say what it did"
stopped
facts | grep "^build_request  CANCELLED" | grep -q somebody || fail "the build does not say who stopped it"
run 2 cancel "$ID"
says err "has already ended: CANCELLED"
goes_on

# SIGKILL: there are two ways to continue.
for again in "build report/a_b" "retry latest"; do
  # No event is lost, no job outlives its build, and the build is reported as dead.
  begin ''
  KILLED="$(the_build)"
  facts >"$TEST_TMPDIR/before"
  kill -KILL "$BUILD"
  ended 137
  soon "the end of its jobs" nobody_left
  facts >"$TEST_TMPDIR/after"
  head -n "$(wc -l <"$TEST_TMPDIR/before")" "$TEST_TMPDIR/after" | cmp -s - "$TEST_TMPDIR/before" ||
    fail "events are lost that had been there"
  knows raw/a
  knows clean/a
  run 2 cancel "$KILLED"
  says err "cannot be cancelled: its orchestrator has died"
  says err "\`retry $KILLED\` continues it"
  ran raw/a clean/a raw/b

  # Finished partitions are not built again and are named; the dead build is ended.
  when_made raw/b ''
  # shellcheck disable=SC2086 # a command with its argument
  run 0 $again
  says out "took 1 partition from build $KILLED: clean/a"
  ran raw/b clean/b report/a_b
  lawful
  run 0 status "$KILLED"
  says out "FAILED"
  says out "INFRASTRUCTURE: its orchestrator has died; build again to continue"
  run 0 build report/a_b
  says out "nothing to do"
  ran
done

# In the end, the events of the killed build keep the contract as well.
"$GRAPH" events "$KILLED" --output=json --state_dir="$STATE" | python3 "$HERE/lawful.py" >"$TEST_TMPDIR/out" ||
  fail "the killed build has no lawful end"
echo "interrupt_test: passed"
