#!/usr/bin/env bash
# A graph of five jobs with generated reviews: a day's summary from nothing, and a repeat.

# shellcheck source=tests/end_to_end/lib.sh
source "$(dirname "$0")/lib.sh"

run 0 build
says out COMPLETED
events | grep -q "^job JOB_STATUS_COMPLETED$" || fail "no job completed"
run 0 build
says out "nothing to do"
run 0 builds
echo "podcast_simple_test: passed"
