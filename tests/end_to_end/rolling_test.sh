#!/usr/bin/env bash
# Declared jobs with windows over time: totals, a trailing week and a running balance, compared with sums over the raw
# data, on the command line and through the service.

# shellcheck source=tests/end_to_end/lib.sh
source "$(dirname "$0")/lib.sh"

# sum_of FILE...: the sum of the numbers in files.
sum_of() {
  awk '{ sum += $1 } END { print sum }' "$@"
}

# has REF SUM: checks the number in the file of a partition.
has() {
  [[ "$(cat "data/rolling/$1")" == "$2" ]] || fail "$1 is '$(cat "data/rolling/$1")', not '$2'"
}

expectations() {
  run 0 build trailing_week/date=2026-01-09 balance/date=2026-01-04
  has daily_total/date=2026-01-09 "$(sum_of data/rolling/transactions/hour=2026-01-09T*)"
  has trailing_week/date=2026-01-09 "$(sum_of data/rolling/transactions/hour=2026-01-0[3-9]T*)"
  has balance/date=2026-01-04 "$(sum_of data/rolling/transactions/hour=2026-01-0[1-4]T*)"
  run 0 build balance/date=2026-01-04
  says out "nothing to do"

  # One more day: its hours, its total and its balance, and the balances of the days between.
  run 0 build balance/date=2026-01-10
  says out "built 31 partitions"
  run 0 plan balance/date=..2026-01-11
  says out "would build 26 partitions"

  # Bounds: values outside them, and ranges that they close.
  run 2 build balance/date=2025-12-31
  says err "date = 2025-12-31 is outside the bounds '2026-01-01..'"
  run 2 build trailing_week/date=2026-01-06
  says err "outside the bounds '2026-01-07..'"
  run 2 build balance/date=2026-01-05..
  says err "has no end"

  # An hour that cannot be trusted: the partitions that were made from it, those that a build would make from it, and a
  # build of the former.
  local hour=transactions/hour=2026-01-09T03
  run 0 downstream "$hour"
  says out "balance/date=2026-01-10"
  says out "trailing_week/date=2026-01-09..2026-01-15"
  says out "balance/date=2026-01-09.."
  says out "monthly_change/month=2026-02"
  run 0 taint "$hour" --reason="booked too late"
  run 0 plan --downstream "$hour"
  says out "would build 5 partitions"
  # The hour has the same content again, so that nothing else needs to be built.
  run 0 build --downstream "$hour"
  says out "COMPLETED"
  run 0 plan --downstream "$hour"
  says out "nothing to do"
}

both_ways expectations

# 31 days and 28 days. The program gets both totals from the task description.
STATE="$TEST_TMPDIR/months"
unset SERVER
run 0 build monthly_change/month=2026-02
before="$(sum_of data/rolling/transactions/hour=2026-01-*)"
now="$(sum_of data/rolling/transactions/hour=2026-02-*)"
has monthly_change/month=2026-02 "$(awk -v now="$now" -v before="$before" 'BEGIN { printf "%+.1f%%", 100 * now / before - 100 }')"

# The job runs that made them, again, in a scratch folder: the same data, from the recorded inputs.
cp -a data "$TEST_TMPDIR/before"
for ref in monthly_change/month=2026-02 daily_total/date=2026-02-28 transactions/hour=2026-02-28T23; do
  run 0 explain "$ref"
  job_run="$(sed -n 's/^made by  *//p' "$TEST_TMPDIR/out")"
  run 0 reproduce "$job_run" --run --scratch_dir="$TEST_TMPDIR/scratch/$ref"
  says out "same       $ref sha256:"
  says out "exit code  0 (the same)"
  cmp "data/rolling/$ref" "$TEST_TMPDIR/scratch/$ref/root$TEST_TMPDIR/data/rolling/$ref" || fail "$ref is not in the scratch folder"
done
diff -r data "$TEST_TMPDIR/before" || fail "a reproduction has changed data"
echo "changed" >>data/rolling/transactions/hour=2026-02-28T23
run 0 explain daily_total/date=2026-02-28
run 2 reproduce "$(sed -n 's/^made by  *//p' "$TEST_TMPDIR/out")" --run
says out "refused    the data of the input 'transactions/hour=2026-02-28T23'"
echo "rolling_test: passed"
