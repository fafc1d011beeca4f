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

# A file that was deleted: a build that is about to read it rebuilds it.
rm data/daily_flights/date=2013-01-03/data.parquet
run 0 build daily_delays/date=2013-01-03 --force
says out "daily_flights/date=2013-01-03"
run 0 events latest
says out "MISSING  daily_flights/date=2013-01-03"
[[ -e data/daily_flights/date=2013-01-03/data.parquet ]] || fail "the file was not rebuilt"

# A check of the store finds a deleted file, and the next build rebuilds it.
rm data/daily_delays/date=2013-01-02/data.parquet
run 1 partitions verify
says out "missing     daily_delays/date=2013-01-02"
run 0 plan daily_delays/date=2013-01-02
says out "lost"
run 0 build daily_delays/date=2013-01-02
run 0 partitions verify
says out "all as recorded"

# A month, of which a day is deleted before its report is rebuilt: it has the same content, so nothing else runs.
run 0 build carrier_report/month=2013-01
rm data/daily_delays/date=2013-01-15/data.parquet
run 0 build carrier_report/month=2013-01 --force
says out "built 2 partitions in 2 job runs"

# A job whose input is missing says so, if nobody has looked for it.
rm data/daily_flights/date=2013-01-03/data.parquet
run 0 build daily_delays/date=2013-01-03 --force --verify=none
run 0 events latest
says out "the input 'daily_flights/date=2013-01-03' is missing; next attempt when the input has been rebuilt"
run 0 events verify
echo "flights_test: passed"
