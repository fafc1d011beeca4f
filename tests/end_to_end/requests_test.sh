#!/usr/bin/env bash
# Invalid requests: exit code 2, a message with the next step, and no effect.

AMBIGUOUS_GRAPH="$PWD/$2"
LOOKUP_GRAPH="$PWD/$3"
OVERLAPPING_GRAPH="$PWD/$4"
# shellcheck source=tests/end_to_end/lib.sh
source "$(dirname "$0")/lib.sh"

# refused TEXT ARGS...: checks that a request is refused with a text, in few words, and leaves nothing behind.
refused() {
  local said="$1"
  shift
  run 2 "$@"
  says err "$said"
  [[ ! -s "$TEST_TMPDIR/out" ]] || fail "a result was printed"
  [[ "$(wc -c <"$TEST_TMPDIR/err")" -lt 1000 ]] || fail "it takes too many words"
  [[ ! -e "$STATE" ]] || fail "something was written to the state directory"
  [[ ! -e "$LAB/ran" ]] || fail "a job ran"
}

# Texts that are no refs, with and without a flag before them, for patterns and without any.
fresh
LONG="$(printf 'x%.0s' {1..1025})"
for kind in raw nothing; do
  for name in 'a b' $'a\nb' $'a\tb' $'a\001b' $'a\177' $'\xc2\xa0' $'a\xe2\x80\x8b' "$LONG"; do
    refused "is not a partition ref" build "$kind/$name"
    refused "is not a partition ref" "$kind/$name" --jobs=1
  done
  refused "is not UTF-8" build "$kind/"$'\xff'
done
refused "has a space or a character that cannot be printed" build 'raw/a b'
refused "is longer than 1024 bytes" build "raw/$LONG"
refused "is empty" build ''
refused "begins with a dash" build -- -raw/a
refused "has no flag" build --raw/a
for command in build plan explain graph; do
  refused "is not a partition ref" "$command" 'raw/a b'
done

# Refs that no job produces, alone and among valid ones.
refused "did you mean the pattern 'raw/{name}'" build raww/a
refused "no job produces the partition 'raw/a/b'" build raw/a raw/a/b

# Segments such as `..`, and another Unicode spelling of a name.
for command in build plan explain graph; do
  refused "has the segment '..', which would change the directory of a path" "$command" raw/..
done
refused "has the segment '..', which would change the directory of a path" taint raw/.. --reason=x
refused "has the segment '..', which would change the directory of a path" partitions adopt raw/.. --reason=x
refused "has the segment '.', which" build raw/.
refused "has the segment '..', which" build ../raw/a
refused "has an empty segment, which a path would lose" build raw/
refused "has an empty segment, which a path would lose" build raw//a
refused "write it as 'raw/caf"$'\xc3\xa9'"'" build "raw/cafe"$'\xcc\x81'

# Commands and flags that do not exist.
refused "did you mean \`build\`" buidl
refused "did you mean \`status\`" stauts
refused "did you mean \`cancel\`" cancle latest
refused "did you mean --keep_going" build raw/a --keepgoing
refused "did you mean --jobs" build raw/a --job=3
refused "did you mean --follow" events --folow
refused "--follow is a flag of events, logs, not of build" build raw/a --follow
refused "--jobs takes a whole number, 1 or more, not 'none'" build raw/a --jobs=none
refused "--jobs takes a whole number, 1 or more, not '0'" build raw/a --jobs=0
refused "--stale takes rebuild or reuse, not 'never'" build raw/a --stale=never
refused "--output takes text or json, not 'xml'" build raw/a --output=xml
refused "help cancel" cancel
refused "none of memory:, sqlite:PATH" status --event_log=mysql:there

# Builds that do not exist, and invalid ids.
for command in status retry cancel events logs; do
  refused "there is no build 'no_such_build'" "$command" no_such_build
done
for id in ../../x a/b 'a b' a.b -x latest "$LONG"; do
  refused "is not a valid build id" build raw/a "--build_request_id=$id"
done
[[ ! -e "$TEST_TMPDIR/x" ]] || fail "an id led out of the state directory"

# Ambiguous refs: two jobs whose patterns both match a ref.
GRAPH="$AMBIGUOUS_GRAPH" refused "overlap: both match 'odd/m'" build odd/a
GRAPH="$OVERLAPPING_GRAPH" refused "overlap: both match 'twin/0'" build twin/x

# A graph with a lookup: a ref that builds, a ref without a producer, and a job that does not exist.
with_lookup() {
  GRAPH="$LOOKUP_GRAPH" run "$@"
}
fresh
with_lookup 0 build clean/a raw/b
ran clean/a raw/a raw/b
with_lookup 2 build other/a
says err "no job produces the partition 'other/a'"
with_lookup 1 build odd/a
says err "it answered '//nowhere:job' for 'odd/a', which is not a job of this graph; the jobs are //tests/end_to_end/lab:any_clean"
fresh

# Two tasks of one job that produce the same ref, an output of another job, no outputs, and a cycle of partitions. Only
# `config` reveals these, so the build exists and has failed.
answer() {
  when_asked raw "printf '%s\n' '{\"configs\": [$1]}'; exit 0"
}
misled() {
  local code="$1" said="$2"
  run "$code" build raw/a
  says err "$said"
  lawful
  fact "^partition  FAILED  raw/a"
  fact "^job " 0
  ran
  run 0 partitions --status=AVAILABLE --output=json
  grep -q '"ref"' "$TEST_TMPDIR/out" && fail "something is available"
  return 0
}
fresh
answer '{"outputs": [{"str": "raw/a"}], "args": ["1"]}, {"outputs": [{"str": "raw/a"}], "args": ["2"]}'
misled 2 "'raw/a' has more than one producer"
answer '{"outputs": [{"str": "raw/a"}, {"str": "clean/a"}]}'
misled 1 "'clean/a', which //tests/end_to_end/lab:clean produces"
answer '{"outputs": [{"str": "raw/b"}]}'
misled 1 "no config that it answered has that output"
answer '{"outputs": [{"str": "raw/a"}], "inputs": [{"dep_type_code": "MATERIALIZE", "partition_ref": {"str": "clean/a"}}]}'
misled 2 "partitions need each other: raw/a -> clean/a -> raw/a"
answer '{"outputs": [{"str": "raw/a"}], "inputs": [{"dep_type_code": "MATERIALIZE", "partition_ref": {"str": "raw/a"}}]}'
misled 2 "partitions need each other: raw/a -> raw/a"
answer '{"outputs": [{"str": "raw/a"}], "inputs": [{"dep_type_code": "MATERIALIZE", "partition_ref": {"str": "report/a"}}]}'
misled 2 "partitions need each other: raw/a -> report/a -> clean/a -> raw/a"
answer '{"outputs": [{"str": "raw/a"}], "inputs": [{"dep_type_code": "MATERIALIZE", "partition_ref": {"str": "rwa/a"}}]}'
misled 2 "no job produces the partition 'rwa/a', which 'raw/a' needs"
answer '{"outputs": [{"str": "raw/a"}, {"str": "raw/a"}], "args": ["raw/a"]}'
run 0 build raw/a
ran raw/a
echo "requests_test: passed"
