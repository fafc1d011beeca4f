#!/usr/bin/env bash
# The cluster of examples/cluster: started, used from two machines and through its service, and stopped without a trace.
# shellcheck source=tests/end_to_end/lib.sh
source "$(dirname "$0")/lib.sh"

CLUSTER="$GRAPH"
PLACE="$TEST_TMPDIR/cluster"
GRAPH_PATH="examples/cluster/build_graph"

cluster() {
  local code=0
  (cd "$TEST_SRCDIR/$TEST_WORKSPACE" && "$CLUSTER" "$GRAPH_PATH" "$@" "$PLACE") >"$TEST_TMPDIR/out" 2>"$TEST_TMPDIR/err" || code=$?
  echo "$code" >"$TEST_TMPDIR/code"
}

ended_with() {
  [[ "$(cat "$TEST_TMPDIR/code")" == "$1" ]] || fail "the command ended with $(cat "$TEST_TMPDIR/code"), not $1"
}

# left: prints the processes whose command line or working directory is in the folder of this test.
left() {
  local process
  for process in /proc/[0-9]*; do
    if tr '\0' ' ' <"$process/cmdline" 2>/dev/null | grep -qF -- "$PLACE"; then echo "${process#/proc/}"; fi
  done
}

# by MACHINE ARGS...: runs the command line of a machine.
by() {
  local machine="$1" code=0
  shift
  "$PLACE/$machine" "$@" >"$TEST_TMPDIR/out" 2>"$TEST_TMPDIR/err" || code=$?
  [[ "$code" == 0 ]] || fail "'$machine $*' ended with $code"
}

trap 'cluster stop' EXIT

cluster stop
ended_with 0
says out "there is no cluster in $PLACE"

cluster start
ended_with 0
grpc="$(sed -nE 's/.*for --server, //p' "$TEST_TMPDIR/out")"
cluster status
[[ "$(grep -c running "$TEST_TMPDIR/out")" == 7 ]] || fail "not all seven parts run"
cluster start
ended_with 1
says err "is running already; \`stop\` ends it"

# A build here on the workers, whose logs another machine and the service read.
by here build sums/3
by there logs
says out "second 3 of 3"
says out "1 + 4 + 9"
says out "of dask://127.0.0.1:"

# A build of the service, asked for by another machine.
DATABUILD_SERVER="$grpc" "$TEST_SRCDIR/$TEST_WORKSPACE/$GRAPH_PATH" build sums/4 >"$TEST_TMPDIR/out" 2>"$TEST_TMPDIR/err" ||
  fail "the build of the service failed"
by here logs
says out "4 + 9 + 16"

# Stopping works if a part is down already.
scheduler="$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["parts"]["scheduler"][0])' "$PLACE/cluster.json")"
kill -KILL "$scheduler"
cluster status
grep -q 'scheduler *down' "$TEST_TMPDIR/out" || fail "the scheduler was killed, but is not down"
cluster stop
ended_with 0
says out "is stopped"
[[ ! -e "$PLACE" ]] || fail "$PLACE is left"
[[ -z "$(left)" ]] || fail "these processes are left: $(left)"

# If the supervisor is killed, everything else ends with it.
cluster start
ended_with 0
kill -KILL "$(cut -d' ' -f1 "$PLACE/supervisor.pid")"
cluster stop
ended_with 0
[[ -z "$(left)" ]] || fail "these processes are left: $(left)"
