#!/usr/bin/env bash
# Jobs that misbehave: none may crash the build, fill the disk or run for ever.

# shellcheck source=tests/end_to_end/lib.sh
source "$(dirname "$0")/lib.sh"

RAW=//tests/end_to_end/lab:raw

# A config with an invalid answer fails the build; the message names the job and the fault.
fresh
misconfigured() {
  when_asked raw "$2"$'\nexit 0'
  run 1 build report/a_b
  says err "config of $RAW (asked for 'raw/a' and 1 more)"
  says err "$1"
  [[ "$(wc -c <"$TEST_TMPDIR/err")" -lt 10000 ]] || fail "it takes too many words"
  lawful
  fact "^build_request  FAILED  USER: config of $RAW"
  ran
}
config() {
  misconfigured "$1" "printf '%s\n' '$2'"
}
config "it printed 'Loading...\\n', which is not a JobConfigureResponse" 'Loading...'
misconfigured "it printed nothing" ':'
misconfigured "which is not a JobConfigureResponse" 'head -c 100000 /dev/zero'
misconfigured "which is not a JobConfigureResponse" "head -c 100000 /dev/zero | tr '\\0' '['"
misconfigured "which is not a JobConfigureResponse" "printf '\\xff\\xfe'"
config "a JSON list" '[]'
config "a JSON int" '3'
config "\`configs\` is not a list" '{"configs": "raw/a"}'
config "unknown field 'config'" '{"config": []}'
config "configs[0] is not an object" '{"configs": [3]}'
config "configs[0].outputs" '{"configs": [{"outputs": [{"str": 3}]}]}'
config "is not a partition ref" '{"configs": [{"outputs": [{"str": "raw/a b"}]}]}'
config "unknown field 'argz'" '{"configs": [{"outputs": [{"str": "raw/a"}], "argz": []}]}'
config "args is not a list of strings" '{"configs": [{"outputs": [{"str": "raw/a"}], "args": [1]}]}'
config "a process cannot have 'x\\x00'" '{"configs": [{"outputs": [{"str": "raw/a"}], "args": ["x\u0000"]}]}'
config "'A=B' is not a valid name" '{"configs": [{"outputs": [{"str": "raw/a"}], "env": {"A=B": ""}}]}'
config "neither QUERY nor MATERIALIZE" \
  '{"configs": [{"outputs": [{"str": "raw/a"}], "inputs": [{"dep_type_code": [], "partition_ref": {"str": "x"}}]}]}'
misconfigured "was ended by signal 9" 'kill -KILL $$'
misconfigured "the end of the noise" 'echo "the end of the noise" >&2; exit 3'
misconfigured "the end of the noise" "head -c 10000000 /dev/zero | tr '\\0' n >&2; echo 'the end of the noise' >&2; exit 3"

# Other output on stderr is no fault.
when_asked raw "head -c 10000000 /dev/zero | tr '\\0' n >&2"
run 0 build report/a_b
ran raw/a raw/b clean/a clean/b report/a_b
[[ "$(du -sk "$STATE" | cut -f1)" -lt 11000 ]] || fail "the noise of config was kept more than once"

# A log is cut at its limit, contains a line about it, and can be read.
fresh
when_made raw/a "head -c 100000000 /dev/zero | tr '\\0' n; echo; echo the end of it; echo 'all written' >&2"
run 0 build raw/a
lawful
[[ "$(du -sm "$STATE" | cut -f1)" -lt 70 ]] || fail "the log is over its limit"
"$GRAPH" logs latest --state_dir="$STATE" >"$TEST_TMPDIR/log" || fail "the log cannot be read"
grep -a -o "databuild: [0-9]* bytes were cut here: the log is over its limit of [0-9]* bytes" "$TEST_TMPDIR/log" >"$TEST_TMPDIR/out" ||
  fail "the log does not say that it was cut"
grep -aqx "the end of it" "$TEST_TMPDIR/log" || fail "the end of the log was cut"
grep -aqx "all written" "$TEST_TMPDIR/log" || fail "the log of stderr is not there"
rm -rf "$TEST_TMPDIR/log" "$STATE"

# An invalid line of a report fails the job run and is shown; reports before it stay valid.
fresh
misreported() {
  when_made raw/a "printf '%s\n' $2 >>\"\$DATABUILD_REPORT\""
  run 1 build raw/a --force
  says out "$1"
  lawful
  fact "^job  FAILED .* USER: .*"
}
misreported "the report line 'garbage' is not a JobReport in JSON" garbage
misreported "it needs one of" "'{}'"
misreported "is not a JobReport in JSON" "\$'\\xff\\xfe'"
misreported 'no field named "rows"' "'{\"rows\": 3}'"
misreported "is not a JobReport in JSON" "'{\"metric\": {\"name\": \"rows\", \"value\": \"many\"}}'"
misreported "'raw/b', which is not an output" "'{\"partition\": {\"ref\": \"raw/b\"}}'"
misreported "cannot be stored" "'{\"partition\": {\"ref\": \"raw/a\", \"metadata\": {\"rows\": NaN}}}'"
run 0 partitions --status=AVAILABLE --output=json
grep -q '"ref"' "$TEST_TMPDIR/out" && fail "what was reported badly is available"
misreported "the report line 'garbage' is not a JobReport in JSON" "'{\"partition\": {\"ref\": \"raw/a\"}}' garbage"
fact "^partition  AVAILABLE  raw/a"

# Blank lines are no fault, nor is a last line without its end.
when_made raw/a "printf '\n\n{\"metric\": {\"name\": \"rows\", \"value\": 3}}' >>\"\$DATABUILD_REPORT\""
run 0 build raw/a --force

# A job that never ends gets TERM after its timeout, then KILL, together with all processes that it started.
fresh
# shellcheck disable=SC2016 # for the job to expand
when_made limited/a 'trap "echo asked >>$LAB/asked" TERM
  (trap "" TERM; while :; do sleep 0.1; done) &
  while :; do sleep 0.1; done'
run 1 build limited/a --grace_period=0.5
nobody_left || fail "processes are left: $(left_behind)"
says out "TIMEOUT: ran longer than its timeout of 3 seconds"
grep -qx asked "$LAB/asked" || fail "the job was not asked to end"
lawful
fact "^job  FAILED .* TIMEOUT:"
fact "^partition  FAILED  limited/a  TIMEOUT:"

# The same for a config that never ends.
when_asked limited 'while :; do sleep 0.1; done'
run 1 build limited/b --grace_period=0.5
nobody_left || fail "processes are left: $(left_behind)"
says err "config of //tests/end_to_end/lab:limited (asked for 'limited/b'): ran longer than its timeout of 3 seconds"
lawful

# Processes that a job leaves running are killed, and do not delay the end of the build.
fresh
when_made raw/a '(trap "" TERM; exec sleep 1000) & disown'
run 0 build raw/a
soon "the end of what was left running" nobody_left
lawful

# A job that deletes its log, its report or its own program harms only itself.
fresh
# shellcheck disable=SC2016 # for the job to expand
when_made raw/a 'rm -rf "${DATABUILD_REPORT%/*}"; echo gone'
run 0 build clean/a
ran raw/a clean/a
lawful
when_made raw/b 'exec <&- >&- 2>&-; true'
run 0 build clean/b
lawful

# Arguments that exceed the limit of a process are refused before anything runs.
fresh
when_asked raw "printf '{\"configs\": [{\"outputs\": [{\"str\": \"raw/a\"}], \"args\": [\"'; head -c 3000000 /dev/zero | tr '\\0' n
  printf '\"]}]}'; exit 0"
run 1 build clean/a
says err "config of $RAW (asked for 'raw/a'): 'raw/a' cannot be built: argument 2 has 3,000,001 bytes"
says err "Write long lists into a file, and pass its path"
lawful
ran

# A signal that a shell reports as an exit code is named; standard output is shown if standard error is empty.
fresh
when_made raw/a 'echo "the reason stands here"; exit 137'
run 1 build raw/a
says out "INFRASTRUCTURE: ended with exit code 137: a command in it was ended by signal 9 (SIGKILL)"
says out "the end of its standard output"
says out "    the reason stands here"

# More concurrent job runs than the limit of open files allows still succeed.
fresh
# shellcheck disable=SC2016 # for the job to expand
when_asked raw 'extra="$(ulimit -S -n)"'
(ulimit -S -n 100 && run 0 build raw/{1..60} --jobs=60) || fail "the limit of open files stopped the build"
lawful
ran raw/{1..60}
(ulimit -n 300 && run 0 build raw/{1..60} --jobs=60 --force) || fail "the hard limit of open files stopped the build"
says err "--jobs=60 exceeds the capacity: at most 5 job runs at once, because of the limit of open files, 300 (ulimit -Hn)"
lawful
echo "hostile_jobs_test: passed"
