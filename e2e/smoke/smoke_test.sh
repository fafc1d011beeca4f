#!/usr/bin/env bash
# Builds partitions with the graph of another module: smoke_test.sh GRAPH GRAPH.PLAN
set -euo pipefail

graph=$PWD/$1
plan=$PWD/$2

fail() {
  echo "$1" >&2
  exit 1
}

# Set by `bazel run`: working directory of the user, and workspace.
export BUILD_WORKING_DIRECTORY=$TEST_TMPDIR BUILD_WORKSPACE_DIRECTORY=$TEST_TMPDIR
cd "$TEST_TMPDIR"

# A consumer installs only the packages that DataBuild needs at run time.
packages=$(find -L "$TEST_SRCDIR" -path '*/site-packages/*.dist-info' -prune -printf '%f\n' | sort -u)
count=$(wc -l <<<"$packages")
((10 < count && count <= 24)) || fail "the graph has $count packages: $packages"
if grep -E '^(pytest|ruff|mypy|matplotlib|duckdb|hypothesis|playwright)-' <<<"$packages"; then
  fail 'a development dependency of DataBuild is among the runfiles'
fi

"$plan" count/hello
[[ ! -e count ]] || fail 'plan built a partition'

"$graph"
[[ $(<count/hello) == 5 ]] || fail 'the default partition has the wrong content'
built=$(stat -c %Y.%i count/hello)

"$graph" build count/hello count/goodbye
[[ $(<count/goodbye) == 7 ]] || fail 'count/goodbye has the wrong content'
[[ $(stat -c %Y.%i count/hello) == "$built" ]] || fail 'count/hello was available but was built again'

if "$graph" build nothing/makes/this; then
  fail 'a ref that no job produces was accepted'
fi
