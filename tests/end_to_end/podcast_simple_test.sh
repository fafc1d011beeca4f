#!/usr/bin/env bash
# A graph of five declared jobs and one with config: a day's summary from nothing, a repeat, and a newsletter, on the command line
# and by way of its service.

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

  # One of its two categories is already summarized. All categories of the day are sorted.
  run 0 newsletters/name=weekend/date=2020-01-01
  says out "built 4 partitions"
  grep -q '"category": "science"' data/newsletters/name=weekend/date=2020-01-01.jsonl || fail "science is not in the newsletter"
  run 1 newsletters/name=evening/date=2020-01-01
  says err "the newsletters are morning, weekend"
  run 2 daily_summaries/category=opera/date=2020-01-01
  says err "no job produces"

  # A file that was deleted: the error shows the frames of the author's code and ends with the fault.
  rm data/reviews/date=2020-01-01.jsonl
  run 1 build categorized_reviews/category=news/date=2020-01-01 --force --verify=none
  says out "examples/podcast_reviews/categorized_reviews.py"
  ! grep -q "databuild/job/" "$TEST_TMPDIR/out" || fail "the traceback shows frames of DataBuild"
  run 0 logs latest
  sed '1,/FileNotFoundError.*date=2020-01-01/d' "$TEST_TMPDIR/out" | grep -q "the run failed" && fail "the message is not last"
  says out "FileNotFoundError"
}

both_ways expectations
echo "podcast_simple_test: passed"
