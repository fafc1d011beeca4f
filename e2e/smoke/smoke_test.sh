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

# What a consumer installs: DataBuild's own packages, and none of those that its development needs.
packages=$(find -L "$TEST_SRCDIR" -path '*/site-packages/*.dist-info' -prune -printf '%f\n' | sort -u)
count=$(wc -l <<<"$packages")
((10 < count && count <= 24)) || fail "the graph carries $count packages: $packages"
if grep -E '^(pytest|ruff|mypy|matplotlib|duckdb|hypothesis|playwright)-' <<<"$packages"; then
  fail 'a package that only the development of DataBuild needs is among the runfiles'
fi

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
