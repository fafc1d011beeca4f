#!/usr/bin/env bash
# Builds partitions with the graph of another module: smoke_test.sh GRAPH GRAPH.PLAN
set -euo pipefail

graph=$PWD/$1
plan=$PWD/$2

fail() {
  echo "$1" >&2
  exit 1
}

# Where the user stands, and the workspace, as `bazel run` would say.
export BUILD_WORKING_DIRECTORY=$TEST_TMPDIR BUILD_WORKSPACE_DIRECTORY=$TEST_TMPDIR
cd "$TEST_TMPDIR"

"$plan" count/hello
[[ ! -e count ]] || fail 'plan has built something'

"$graph"
[[ $(<count/hello) == 5 ]] || fail 'the default partition is not what it should be'
built=$(stat -c %Y.%i count/hello)

"$graph" build count/hello count/goodbye
[[ $(<count/goodbye) == 7 ]] || fail 'count/goodbye is not what it should be'
[[ $(stat -c %Y.%i count/hello) == "$built" ]] || fail 'count/hello, which was available, has been built again'

if "$graph" build nothing/makes/this; then
  fail 'a ref that no job produces must be refused'
fi
