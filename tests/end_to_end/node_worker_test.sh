#!/usr/bin/env bash
# A worker in JavaScript, which speaks the protocol of docs/workers.md without any code of ours.

# shellcheck source=tests/end_to_end/lib.sh
source "$(dirname "$0")/lib.sh"

command -v node >/dev/null || fail "node is not installed (Debian: apt-get install nodejs)"

# One worker configures and runs everything.
run 0 build sum/one_three_five --jobs=1
[[ "$(cat "$TEST_TMPDIR/data/sum-one_three_five")" == 12 ]] || fail "the sum is not 12"
run 0 logs latest
[[ "$(grep -o 'started [0-9]*' "$TEST_TMPDIR/out" | sort -u | wc -l)" == 1 ]] || fail "there was more than one process"
for words in one three five one_three_five; do
  says out "a child prints $words"
done
run 0 logs latest --output=json
[[ "$(python3 -c 'import json, sys; print(*(run["worker_request"] for run in json.load(sys.stdin)["job_runs"]))' \
  <"$TEST_TMPDIR/out")" == "3 4 5 6" ]] || fail "the runs are not the requests after two configurations"

# It survives an exception, and is replaced after a crash.
run 1 build letters/fail letters/crash letters/good --keep_going --jobs=1
[[ "$(cat "$TEST_TMPDIR/data/letters-good")" == 4 ]] || fail "a good word has no number"
run 0 status latest
says out "ended with exit code 1"
says out "signal 9 (SIGKILL)"
run 0 logs latest
says out "no such word"
