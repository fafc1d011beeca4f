#!/usr/bin/env bash
# A partition is not built again until something that it depends on changes.

CHANGED_GRAPH="$PWD/$2" ENVIRONMENT_GRAPH="$PWD/$3" MOVED_GRAPH="$PWD/$4"
# shellcheck source=tests/end_to_end/lib.sh
source "$(dirname "$0")/lib.sh"

REF=report/a_b

# Everything is built, each partition after its inputs.
fresh
run 0 build "$REF"
FIRST="$(the_build)"
lawful
fact "^partition  AVAILABLE" 5
fact "^job  COMPLETED" 5
fact "^build_request  COMPLETED"
for pair in raw/a:clean/a raw/b:clean/b "clean/a:$REF" "clean/b:$REF"; do
  before="$(grep -nxF "${pair%:*}" "$LAB/ran" | cut -d: -f1)"
  after="$(grep -nxF "${pair#*:}" "$LAB/ran" | cut -d: -f1)"
  ((before < after)) || fail "${pair#*:} was made before ${pair%:*}"
done
ran raw/a raw/b clean/a clean/b "$REF"

# A repeat runs nothing, and names the earlier build in its output and in its events.
run 0 build "$REF"
says out "nothing to do"
says out "took 1 partition from build $FIRST: $REF"
ran
lawful
fact "^delegation  to $FIRST  //tests/end_to_end/lab:report  $REF$"
fact "^partition  DELEGATED  $REF$"
fact "^job " 0

# New partitions are built; the others are named with their build and job.
run 0 build raw/z
SECOND="$(the_build)"
ran raw/z
run 0 build "$REF" raw/z report/a_c --output=json
python3 - "$TEST_TMPDIR/out" "$FIRST" "$SECOND" <<'END' || fail "the result as JSON is not as it should be"
import json, sys
result = json.load(open(sys.argv[1]))
first, second = sys.argv[2:]
assert result["status"] == "COMPLETED" and result["exit_code"] == 0
assert result["built"] == ["clean/c", "raw/c", "report/a_c"]
assert result["delegated"] == {first: ["clean/a", "report/a_b"], second: ["raw/z"]}, result["delegated"]
END
ran raw/c clean/c report/a_c
lawful
fact "^delegation  to $FIRST  //tests/end_to_end/lab:clean  clean/a$"
fact "^delegation  to $FIRST  //tests/end_to_end/lab:report  $REF$"
fact "^delegation  to $SECOND  //tests/end_to_end/lab:raw  raw/z$"

# After a change of the code of one job, it and everything downstream run again, and nothing else.
GRAPH="$CHANGED_GRAPH" run 0 plan "$REF"
says out "code changed"
says out "input changed: clean/a"
ran
GRAPH="$CHANGED_GRAPH" run 0 build raw/a raw/z
says out "nothing to do"
GRAPH="$CHANGED_GRAPH" run 0 build "$REF"
ran clean/a clean/b "$REF"
lawful
fact "^partition  SCHEDULED  clean/.  \(CODE_CHANGED\)" 2
fact "^partition  SCHEDULED  $REF  \(INPUT_CHANGED  clean/[ab]\)"
fact "^delegation  to $FIRST  //tests/end_to_end/lab:raw  raw/a, raw/b$"
GRAPH="$CHANGED_GRAPH" run 0 build "$REF"
says out "nothing to do"
ran

# A stale partition can be used as it is.
run 0 build clean/a "$REF" --stale=reuse
says out "nothing to do"
ran
run 0 build clean/a
ran clean/a

# A job that was moved to another package, and one that was renamed, are the same jobs.
fresh
run 0 build "$REF"
ran raw/a raw/b clean/a clean/b "$REF"
GRAPH="$MOVED_GRAPH" run 0 build "$REF"
says out "nothing to do"
ran
GRAPH="$MOVED_GRAPH" run 0 build "$REF" clean/c
ran raw/c clean/c
fact "^job  COMPLETED .*//tests/end_to_end/lab/moved:clean"

# After a change of the environment of a job's program, it runs again with the new environment.
# shellcheck disable=SC2016 # for the job to expand
when_made clean/a 'echo "greeting: $LAB_GREETING"'
GRAPH="$ENVIRONMENT_GRAPH" run 0 build clean/a
ran clean/a
fact "^partition  SCHEDULED  clean/a  \(CODE_CHANGED\)"
run 0 logs latest
says out "greeting: good day"

# After the configuration of one job has changed, the same.
fresh
run 0 build "$REF"
ran raw/a raw/b clean/a clean/b "$REF"
when_asked clean 'extra=new'
run 0 build "$REF"
ran clean/a clean/b "$REF"
fact "^partition  SCHEDULED  clean/.  \(CONFIGURATION_CHANGED  the variable EXTRA was .. and is .new.\)" 2
run 0 build "$REF"
ran

# If a changed job produces the same content, nothing downstream runs.
fresh
for name in a b; do
  # shellcheck disable=SC2016 # for the job to expand
  when_made clean/$name 'echo "{\"partition\": {\"ref\": \"$ref\", \"content_digest\": \"the same\"}}" >>"$DATABUILD_REPORT"'
done
run 0 build "$REF"
FIRST="$(the_build)"
ran raw/a raw/b clean/a clean/b "$REF"
GRAPH="$CHANGED_GRAPH" run 0 build "$REF"
ran clean/a clean/b
lawful
fact "^job  SKIPPED .*//tests/end_to_end/lab:report .*not needed: its inputs were rebuilt to the same content"
fact "^delegation  to $FIRST  //tests/end_to_end/lab:report  $REF$"
fact "^build_request  COMPLETED"
echo "repeat_test: passed"
