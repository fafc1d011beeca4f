#!/usr/bin/env bash
# A job that fails: the message, the other tasks, and retries.

# shellcheck source=tests/end_to_end/lib.sh
source "$(dirname "$0")/lib.sh"

LAB_PACKAGE=//tests/end_to_end/lab

# A failure is reported with its reason and the end of the job's output, and the outputs do not exist.
fresh
when_made raw/a 'echo "no such source" >&2; exit 7'
run 1 build report/a_b --keep_going --jobs=1
says out "FAILED $LAB_PACKAGE:raw raw/a ($(the_build).1.1)"
says out "USER: ended with exit code 7"
says out "no such source"
says out "-- logs $(the_build).1.1"
says out "-- retry $(the_build)"
lawful
fact "^partition  FAILED  raw/a  USER: ended with exit code 7"
fact "^build_request  FAILED"
run 0 status
says out FAILED
run 0 logs "$(the_build).1.1"
says out "no such source"
run 0 partitions --status=AVAILABLE --output=json
grep -q '"raw/a"' "$TEST_TMPDIR/out" && fail "what failed is available"
run 1 build raw/a --output=json
python3 - "$TEST_TMPDIR/out" <<'END' || fail "the result as JSON is not as it should be"
import json, sys
result = json.load(open(sys.argv[1]))
assert (result["status"], result["exit_code"], result["jobs_failed"]) == ("FAILED", 1, 1)
(failure,) = result["failures"]
assert (failure["category"], failure["exit_code"], failure["stderr_tail"]) == ("USER", 7, ["no such source"])
END

# A job that a signal ends is not reported as a fault of its author.
fresh
when_made raw/a 'kill -KILL $$'
run 1 build raw/a
says out "INFRASTRUCTURE: was ended by signal 9"
lawful

# Fail fast: after the first failure nothing starts, and tasks that did not run have a reason.
fresh
for name in {a..i}; do
  # shellcheck disable=SC2016 # for the job to expand
  when_made "raw/$name" '[[ "$(wc -l <"$LAB/ran")" -lt 5 ]] || exit 7'
done
run 1 build raw/{a..i} --jobs=1
[[ "$(wc -l <"$LAB/ran")" == 5 ]] || fail "something started after the failure"
lawful
fact "^job  COMPLETED" 4
fact "^job  FAILED" 1
fact "^job  CANCELLED .* CANCELLED: not run: the build stopped after $LAB_PACKAGE:raw failed" 4
fact "^partition  FAILED .* CANCELLED: not run" 4

# Fail fast: jobs that run at the time of the failure finish.
fresh
# shellcheck disable=SC2016 # for the job to expand
when_made raw/a 'until [[ -e "$LAB/b_runs" ]]; do sleep 0.05; done; exit 7'
# shellcheck disable=SC2016
when_made raw/b 'touch "$LAB/b_runs"; until [[ -e "$LAB/go" ]]; do sleep 0.05; done'
start build raw/a raw/b clean/b --jobs=2
soon "the failure" grep -qs FAILED "$TEST_TMPDIR/err"
touch "$LAB/go"
ended 1
ran raw/a raw/b
lawful
fact "^partition  AVAILABLE  raw/b"
fact "^job  CANCELLED .*//tests/end_to_end/lab:clean"

# Keep going: everything that does not depend on the failure is built, and the rest is skipped.
fresh
when_made raw/b 'exit 7'
run 1 build report/a_b report/c_d --keep_going --jobs=1
says out "not built: 2 partitions downstream of a failure"
ran raw/a clean/a raw/b raw/c raw/d clean/c clean/d report/c_d
lawful
fact "^partition  AVAILABLE" 7
fact "^job  SKIPPED .* MISSING_DATA: not run: $LAB_PACKAGE:raw, which is upstream, did not produce 'raw/b'" 2
fact "^partition  FAILED  (clean/b|report/a_b)  MISSING_DATA" 2

# A retry of the build builds the missing partitions, and nothing else.
FAILED="$(the_build)"
when_made raw/b ''
run 0 retry "$FAILED" --output=json
ran raw/b clean/b report/a_b
lawful
run 0 status --output=json
grep -q "\"retry_of_build_request_id\": \"$FAILED\"" "$TEST_TMPDIR/out" || fail "the retry does not name what it retries"
run 2 retry latest
says err "there is nothing to retry"
run 2 retry no_such_build

# A retry of failed jobs only builds their outputs.
fresh
when_made raw/b 'exit 7'
run 1 build report/a_b --keep_going
ran raw/a raw/b clean/a
run 1 retry --failed_jobs_only
ran raw/b
when_made raw/b ''
run 0 retry --failed_jobs_only
ran raw/b
run 0 build report/a_b
ran clean/b report/a_b

# A job with retries runs again until it succeeds, each time as a new job run.
fresh
# shellcheck disable=SC2016 # for the job to expand
when_made flaky/a 'echo "attempt $DATABUILD_ATTEMPT of $DATABUILD_JOB_RUN_ID"; [[ "$DATABUILD_ATTEMPT" == 3 ]] || exit 5'
run 0 build flaky/a
ID="$(the_build)"
ran flaky/a flaky/a flaky/a
lawful
for attempt in 1 2; do
  fact "^job  FAILED  $ID.1.$attempt .* USER: ended with exit code 5; next attempt in 0 seconds"
done
fact "^job  COMPLETED  $ID.1.3"
fact "^partition  SCHEDULED  flaky/a  \(FAILED_BEFORE" 2
for attempt in 1 2 3; do
  run 0 logs "$ID.1.$attempt"
  says out "attempt $attempt of $ID.1.$attempt"
done
run 0 build flaky/a
ran

# It does not run more often than its retries allow.
when_made flaky/b 'exit 6'
run 1 build flaky/b
ran flaky/b flaky/b flaky/b
lawful
fact "^job  FAILED" 3
fact "^partition  FAILED  flaky/b  USER: ended with exit code 6$"

# Partitions that a job run reported as finished stay available, although the run failed.
fresh
when_asked raw "printf '%s\n' '{\"configs\": [{\"outputs\": [{\"str\": \"raw/a\"}, {\"str\": \"raw/b\"}], \"args\": [\"raw/a\"]}]}'; exit 0"
# shellcheck disable=SC2016 # for the job to expand
when_made raw/a 'echo "{\"partition\": {\"ref\": \"raw/b\"}}" >>"$DATABUILD_REPORT"; exit 7'
run 1 build raw/a raw/b
lawful
fact "^partition  AVAILABLE  raw/b"
fact "^partition  FAILED  raw/a  USER: ended with exit code 7"
run 0 partitions --status=AVAILABLE
says out raw/b
echo "failure_test: passed"
