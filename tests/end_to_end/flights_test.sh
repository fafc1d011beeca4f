#!/usr/bin/env bash
# Real data: one day of 2013 from the archive, with the number of flights that it is known to have.

# shellcheck source=tests/end_to_end/lib.sh
source "$(dirname "$0")/lib.sh"

run 0 build daily_delays/date=2013-01-01
says out COMPLETED
run 0 explain daily_flights/date=2013-01-01
says out 842
run 0 build daily_delays/date=2013-01-01..2013-01-03
# One run makes the flights of both new days, and one their weather.
says out "built 6 partitions in 4 job runs"
run 2 build daily_delays/date=2013-01-03..2013-01-01
says err "before it begins"
run 2 build daily_delays/date=2013-02-30
run 2 build carrier_report/month=2014-01
says err "month = 2014-01 is outside the bounds '2013-01..2013-12'"
run 0 plan daily_delays/date=2013-12-20..
says out "would build 36 partitions"

# A file that somebody removed: the author's frames, and last what is wrong, which DuckDB says in several lines.
rm data/daily_flights/date=2013-01-03.parquet
run 1 build daily_delays/date=2013-01-03 --force
says out "examples/flights/daily_delays.py"
! grep -q "databuild/job/" "$TEST_TMPDIR/out" || fail "the traceback shows frames of DataBuild"
run 0 logs latest
sed '1,/IO Error: No files.*date=2013-01-03/d' "$TEST_TMPDIR/out" | grep -q "the run failed" && fail "the message is not last"
says out "IO Error: No files"
echo "flights_test: passed"
