#!/usr/bin/env bash
# A graph of five jobs with generated reviews: a day's summary from nothing, and a repeat, on the command line and by way
# of its service.

# shellcheck source=tests/end_to_end/lib.sh
source "$(dirname "$0")/lib.sh"

expectations() {
  run 0 build
  says out COMPLETED
  events >"$TEST_TMPDIR/events"
  grep -q "^job JOB_STATUS_COMPLETED$" "$TEST_TMPDIR/events" || fail "no job completed"
  run 0 build
  says out "nothing to do"
  run 0 builds
}

both_ways expectations
echo "podcast_simple_test: passed"
