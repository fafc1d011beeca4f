#!/usr/bin/env bash
# Data in a table: its jobs answer whether it exists, and what is lost is rebuilt.

# shellcheck source=tests/end_to_end/lib.sh
source "$(dirname "$0")/lib.sh"

export STORE="$TEST_TMPDIR/store.db"

# lose REF: deletes the row of a partition.
lose() {
  python3 -c 'import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2], sys.argv[3:]); c.commit()' \
    "$STORE" "DELETE FROM data WHERE ref LIKE ?" "$1"
}

expectations() {
  mkdir -p "$TEST_TMPDIR/data"
  rm -f "$STORE"
  run 0 build total/month=2026-02
  run 0 partitions verify
  says out "looked at 29 partitions: all as recorded"

  # The row is noticed, and the next build makes only that again: its value is the same, so the total stays fresh.
  lose day/date=2026-02-03
  run 1 partitions verify 'day/date={date:date}'
  says out "missing     day/date=2026-02-03"
  says out "looked at 28 partitions: 1 missing"
  run 0 explain day/date=2026-02-03
  says out "MISSING since"
  says out "would make it (lost)"
  run 0 build day/date=2026-02-03 day/date=2026-02-04 total/month=2026-02
  says out "built 1 partition in 1 job run: day/date=2026-02-03"
  fact "SCHEDULED  day/date=2026-02-03  \(LOST\)"
  lawful

  # A build notices by itself what its tasks need.
  lose day/date=2026-02-07
  run 0 build total/month=2026-02 --force --verify=inputs
  says out "built 2 partitions in 2 job runs: day/date=2026-02-07, total/month=2026-02"
  fact "MISSING  day/date=2026-02-07"
  lawful

  # An empty table may be another one.
  lose 'day/%'
  run 3 build total/month=2026-02 --force
  says err "finds none of 28 partitions"
  run 1 partitions verify
  says out "28 unreadable"
  run 1 partitions verify --confirm_losses
  says out "28 missing"
  run 0 build total/month=2026-02 --force
  says out "built 29 partitions in 29 job runs"
}

both_ways expectations
echo "check_test: passed"
