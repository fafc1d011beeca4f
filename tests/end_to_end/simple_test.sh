#!/usr/bin/env bash
# The smallest graph, from an empty state to its sum, and all commands on it: on the command line and through its
# service.

# shellcheck source=tests/end_to_end/lib.sh
source "$(dirname "$0")/lib.sh"

REF=sum/pippin_salem_sadie

expectations() {
  run 0 plan "$REF"
  says out missing
  run 0 builds
  says out "no builds"

  run 0 build "$REF"
  says out "COMPLETED"
  events >"$TEST_TMPDIR/events"
  head -n 1 "$TEST_TMPDIR/events" | grep -q BUILD_STATUS_RECEIVED || fail "the first event is not RECEIVED"
  tail -n 1 "$TEST_TMPDIR/events" | grep -q BUILD_STATUS_COMPLETED || fail "the last event is not COMPLETED"
  for line in "partition PARTITION_STATUS_SCHEDULED" "partition PARTITION_STATUS_AVAILABLE" "job JOB_STATUS_COMPLETED"; do
    [[ "$(grep -c "^$line$" "$TEST_TMPDIR/events")" == 4 ]] || fail "not four times '$line'"
  done

  run 0 "$REF"
  says out "nothing to do"
  says out "from build"
  events >"$TEST_TMPDIR/events"
  grep -q "^job " "$TEST_TMPDIR/events" && fail "a repeat ran a job"

  run 0 explain "$REF"
  run 0 status
  says out COMPLETED
  run 0 partitions
  says out "$REF"
  run 0 builds --output=json
  run 0 downstream generated_number/salem
  says out "$REF"
  run 0 downstream "$REF"
  says out "no partition was made from $REF"
  run 0 build --force generated_number/salem
  run 0 plan --downstream generated_number/salem
  says out "input changed"
  run 0 build --downstream generated_number/salem
  says out "$REF"
  run 0 build --downstream generated_number/salem
  says out "nothing to do"
  run 2 build --downstream "$REF"
  says err "there is nothing to build"
  run 0 graph "$REF" --format=dot
  says out digraph
  run 0 graph "$REF" --format=svg
  says out "<svg"

  run 2 buidl
  run 2 build "sum/a b"
  says err "is not a partition ref"
  run 2 build nobody/makes_this
  says err "no job produces"
  run 2 status no_such_build
  run 2 build --no_such_flag

  run 0 taint --downstream generated_number/salem --reason="looks wrong"
  says out "tainted 2 partitions"
  run 0 plan "$REF"
  says out tainted
  run 0 build "$REF"
  says out COMPLETED

  run 0 plan "$REF" --force --output="$TEST_TMPDIR/plan.pb"
  run 2 build --plan="$TEST_TMPDIR/plan.pb" --force
  run 0 build --plan="$TEST_TMPDIR/plan.pb"
  run 0 build --force "$REF"
}

both_ways expectations
echo "simple_test: passed"
