#!/usr/bin/env bash
# SQL jobs: their inputs from a shell script and from each other, their results, checks and data roots.

# shellcheck source=tests/end_to_end/lib.sh
source "$(dirname "$0")/lib.sh"

export BUILD_WORKSPACE_DIRECTORY="$TEST_TMPDIR/workspace" DELAYS="$TEST_TMPDIR/delays"
unset DATABUILD_DATA_ROOT
mkdir "$BUILD_WORKSPACE_DIRECTORY"
DATA="$BUILD_WORKSPACE_DIRECTORY/data"

# stored FOLDER REF: checks that a partition is one Parquet file in a folder, and nothing else.
stored() {
  [[ "$(ls -A "$1/$2")" == data.parquet ]] || fail "$1/$2 has $(ls -A "$1/$2" 2>&1)"
  [[ "$(head -c 4 "$1/$2/data.parquet")" == PAR1 ]] || fail "$1/$2/data.parquet is not Parquet"
}

# version REF: the version of an available partition.
version() {
  graph explain "$1" | sed -n 's/^version *//p'
}

# The balance of the fourth day reads that of the third, and so on; its check compares the sum with the number of days.
run 0 build balance/date=2013-01-10 carrier_report/week=2013-W02
says out "check few_delays of carrier_report/week=2013-W02 did not pass (WARNING): false: SELECT max(delay) < 100 FROM result"
stored "$DATA" balance/date=2013-01-07
stored "$DATA" balance/date=2013-01-10
stored "$DATA" carrier_report/week=2013-W02
lawful

# Rows, bytes and path are metadata, and a repeat has nothing to do.
run 0 explain carrier_report/week=2013-W02
says out "rows = 2"
says out "bytes = $(stat -c %s "$DATA/carrier_report/week=2013-W02/data.parquet")"
says out "path = $DATA/carrier_report/week=2013-W02/data.parquet"
run 0 build balance/date=2013-01-10 carrier_report/week=2013-W02
says out "nothing to do"

# The same result has the same digest, so nothing downstream is stale.
before="$(version balance/date=2013-01-08)"
[[ "$before" == sha256:* ]] || fail "the version of a balance is '$before'"
run 0 build --force balance/date=2013-01-08
[[ "$(version balance/date=2013-01-08)" == "$before" ]] || fail "the same balance has another digest"
run 0 plan balance/date=2013-01-10
says out "nothing to do"

# A result that fails a check is not stored.
run 1 build unchecked_report/week=2013-W02
says out "check has_no_carriers of unchecked_report/week=2013-W02 did not pass (ERROR)"
says out "unchecked_report/week=2013-W02 is not stored, because it fails has_no_carriers"
[[ -z "$(find "$DATA" -path '*unchecked*' -type f)" ]] || fail "a failed check left $(find "$DATA" -path '*unchecked*')"

# An input whose file is gone is rebuilt, whether the build or the job notices.
for verify in inputs none; do
  rm "$DATA/carrier_report/week=2013-W02/data.parquet"
  run 1 build --verify="$verify" unchecked_report/week=2013-W02
  says out "built 1 partition in 1 job run: carrier_report/week=2013-W02"
  stored "$DATA" carrier_report/week=2013-W02
done

# An input whose file is broken is named.
echo broken >"$DATA/carrier_report/week=2013-W02/data.parquet"
run 1 build unchecked_report/week=2013-W02
says out "the files of the view carrier_report cannot be read"

# Another data root, for this run.
DATABUILD_DATA_ROOT="$TEST_TMPDIR/elsewhere" run 0 build --force carrier_report/week=2013-W02
stored "$TEST_TMPDIR/elsewhere" carrier_report/week=2013-W02

# An error of DuckDB shows the line of the file and the names that the query can use.
printf 'carrier,delay\nAA,late\n' >"$DELAYS/2013-01-08.csv"
run 1 build --force carrier_report/week=2013-W02
says out "tests/end_to_end/sql/carrier_report.sql:3: "
says out "daily_delays (carrier VARCHAR, delay VARCHAR, date DATE), airlines (code VARCHAR, name VARCHAR)"
says out "Variables: week DATE"

echo "sql_test: passed"
