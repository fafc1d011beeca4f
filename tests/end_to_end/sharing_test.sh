#!/usr/bin/env bash
# Builds that share one event log: what one is producing, another waits for; what a dead one was producing is made anew.

# shellcheck source=tests/end_to_end/lib.sh
source "$(dirname "$0")/lib.sh"

heard() {
  grep -qF -- "$1" "$TEST_TMPDIR/$2" 2>/dev/null
}

# Two builds at once: the second waits for the first, says so, and uses what it made.
fresh
# shellcheck disable=SC2016
when_made raw/a 'touch "$LAB/reached"; while [[ ! -e "$LAB/go" ]]; do sleep 0.05; done'
start build raw/a
FIRST="$BUILD"
soon "the first build" test -e "$LAB/reached"
FIRST_ID="$(the_build)"
"$GRAPH" build clean/a --state_dir="$STATE" >"$TEST_TMPDIR/second.out" 2>"$TEST_TMPDIR/second.err" &
SECOND=$!
soon "waiting" heard "waiting for build $FIRST_ID to produce raw/a" second.err
touch "$LAB/go"
wait "$SECOND" || fail "the second build ended with $?: $(<"$TEST_TMPDIR/second.err")"
BUILD="$FIRST"
ended 0
ran raw/a clean/a
fact '^delegation  to '"$FIRST_ID"
lawful

# The first fails: the second takes over.
fresh
# shellcheck disable=SC2016
when_made raw/a 'touch "$LAB/reached"; while [[ ! -e "$LAB/go" ]]; do sleep 0.05; done; rm "$LAB/exec.raw.a"; exit 7'
start build raw/a
FIRST="$BUILD"
soon "the first build" test -e "$LAB/reached"
FIRST_ID="$(the_build)"
"$GRAPH" build raw/a --state_dir="$STATE" >"$TEST_TMPDIR/second.out" 2>"$TEST_TMPDIR/second.err" &
SECOND=$!
soon "waiting" heard "waiting for build $FIRST_ID" second.err
touch "$LAB/go"
wait "$SECOND" || fail "the second build ended with $?: $(<"$TEST_TMPDIR/second.err")"
BUILD="$FIRST"
ended 1
ran raw/a raw/a
lawful

# The first is killed while its job runs and while another build waits for it: its job does not outlive it, the other build
# goes on at once, and the first has failed for what it was.
fresh
# shellcheck disable=SC2016
when_made raw/a 'touch "$LAB/reached"; [[ -e "$LAB/again" ]] || { touch "$LAB/again"; sleep 1000; }'
start build raw/a
FIRST="$BUILD"
soon "the first build" test -e "$LAB/reached"
FIRST_ID="$(the_build)"
"$GRAPH" build raw/a --state_dir="$STATE" >"$TEST_TMPDIR/second.out" 2>"$TEST_TMPDIR/second.err" &
SECOND=$!
soon "waiting" heard "waiting for build $FIRST_ID" second.err
kill -KILL "$FIRST"
wait "$SECOND" || fail "the second build ended with $?: $(<"$TEST_TMPDIR/second.err")"
BUILD="$FIRST"
ended 137
nobody_left || fail "a job outlived its build"
ran raw/a raw/a
lawful
run 0 status "$FIRST_ID"
says out "FAILED"
says out "its orchestrator has died"

# Killed with nobody else there: the job does not outlive it either.
fresh
when_made raw/a 'sleep 1000'
start build raw/a
soon "the job" test -e "$LAB/ran"
kill -KILL "$BUILD"
ended 137
soon "the end of its job" nobody_left

# Eight builds of the same partitions at once: each is made once.
fresh
PIDS=()
for number in 1 2 3 4 5 6 7 8; do
  "$GRAPH" build report/a_b_c_d_e_f --jobs=2 --state_dir="$STATE" >"$TEST_TMPDIR/$number.out" 2>"$TEST_TMPDIR/$number.err" &
  PIDS+=($!)
done
for pid in "${PIDS[@]}"; do
  wait "$pid" || fail "one of eight builds ended with $?: $(cat "$TEST_TMPDIR"/[1-8].err)"
done
ran {raw,clean}/{a,b,c,d,e,f} report/a_b_c_d_e_f
echo "sharing_test: passed"
