#!/usr/bin/env bash
# Real data: one day of 2013 from the archive, with its known number of flights.

# shellcheck source=tests/end_to_end/lib.sh
source "$(dirname "$0")/lib.sh"

run 0 build daily_delays/date=2013-01-01
says out COMPLETED
run 0 explain daily_flights/date=2013-01-01
says out 842
run 0 build daily_delays/date=2013-01-01..2013-01-03
# One run produces the flights of both new days, and one their weather.
says out "built 6 partitions in 4 job runs"
run 2 build daily_delays/date=2013-01-03..2013-01-01
says err "before it begins"
run 2 build daily_delays/date=2013-02-30
run 2 build carrier_report/month=2014-01
says err "month = 2014-01 is outside the bounds '2013-01..2013-12'"
run 0 plan daily_delays/date=2013-12-20..
says out "would build 36 partitions"

# A file that was deleted: the message names it and the next step.
rm data/daily_flights/date=2013-01-03/data.parquet
run 1 build daily_delays/date=2013-01-03 --force
run 0 logs latest
says out "'daily_flights/date=2013-01-03' cannot be read"
says out "build --force daily_flights/date=2013-01-03"
run 0 build --force daily_flights/date=2013-01-03
run 0 build daily_delays/date=2013-01-03
echo "flights_test: passed"
