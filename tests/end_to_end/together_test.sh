#!/usr/bin/env bash
# Concurrent builds of the same partitions: one produces them, the others wait, use them, or take over.

# shellcheck source=tests/end_to_end/lib.sh
source "$(dirname "$0")/lib.sh"

# begin: starts a build (FIRST, of the process FIRST_PID) whose `raw/b` runs until the file `go` exists, and then fails
# if the file `fails` exists. Also starts a second build of the same partitions, which waits for the first.
begin() {
  fresh
  # shellcheck disable=SC2016 # for the job to expand
  when_made raw/b 'if mkdir "$LAB/once" 2>/dev/null; then
    until [[ -e "$LAB/go" ]]; do sleep 0.05; done
    [[ ! -e "$LAB/fails" ]] || exit 7
  fi'
  start build report/a_b
  FIRST_PID="$BUILD"
  soon "the job" [ -e "$LAB/once" ]
  soon "clean/a" made clean/a
  FIRST="$(the_build)"
  start build report/a_b
  soon "the second build" another
  SECOND="$(the_build)"
  soon "the wait for the first" waits
  ran raw/a clean/a raw/b
}

another() {
  [[ "$(the_build)" != "$FIRST" ]]
}

waits() {
  facts | grep -q "^delegation  to $FIRST  //tests/end_to_end/lab:raw  raw/b"
}

# first_ended CODE: waits for the first build's end, and checks its exit code.
first_ended() {
  local second="$BUILD"
  BUILD="$FIRST_PID"
  ended "$1"
  BUILD="$second"
}

# took_over: checks that the second build builds what the first did not.
took_over() {
  ended 0
  says out "took 1 partition from build $FIRST: clean/a"
  [[ "$(the_build)" == "$SECOND" ]] || fail "there is a third build"
  lawful
  ran raw/b clean/b report/a_b
  nobody_left || fail "processes are left: $(left_behind)"
}

# The second build uses the partitions that the first produces.
begin
touch "$LAB/go"
ended 0
first_ended 0
lawful
says out "from build $FIRST"
ran clean/b report/a_b
fact "^build_request  COMPLETED"

# If the first build fails, is stopped or dies, the second one produces the partitions.
begin
touch "$LAB/fails" "$LAB/go"
first_ended 1
took_over
begin
kill -INT -- "-$FIRST_PID"
first_ended 130
took_over
begin
kill -KILL "$FIRST_PID"
first_ended 137
took_over
run 0 status "$FIRST"
says out "INFRASTRUCTURE: its orchestrator has died"

# A build that is stopped while it waits does not disturb the first.
begin
kill -INT -- "-$BUILD"
ended 130
lawful
fact "^build_request  CANCELLED"
touch "$LAB/go"
first_ended 0
ran clean/b report/a_b
run 0 build report/a_b
says out "took 1 partition from build $FIRST"
ran

# Many concurrent builds produce each partition once.
fresh
PIDS=()
for name in b c d e f g; do
  start build "report/a_$name" "report/${name}_z" --jobs=2
  PIDS+=("$BUILD")
done
for BUILD in "${PIDS[@]}"; do
  ended 0
done
ran {raw,clean}/{a,b,c,d,e,f,g,z} report/a_{b,c,d,e,f,g} report/{b,c,d,e,f,g}_z
echo "together_test: passed"
