#!/usr/bin/env bash
# Tests how launchers call the command line: launcher_test.sh GRAPH GRAPH.PLAN GRAPH.SERVICE
set -euo pipefail

graph=$1
plan=$2
service=$3

# Compares the output of the command $3... with the lines $2; $1 names the test.
expect() {
  local printed
  printed=$("${@:3}")
  if [[ $printed != "$2" ]]; then
    echo "$1: expected"$'\n'"$2"$'\n'"but it printed"$'\n'"$printed" >&2
    exit 1
  fi
}

label='  "graphLabel": "//tests/rules/databuild_graph:graph",'$'\n'
expect 'arguments arrive as they are' \
  "${label}runfiles agree"$'\n''argument: build'$'\n''argument: a b'$'\n''argument: "*"' \
  "$graph" build 'a b' '"*"'
expect 'no arguments' "${label}runfiles agree" "$graph"
expect 'plan comes first' "${label}runfiles agree"$'\n''argument: plan'$'\n''argument: x' "$plan" x
expect 'serve comes first' "${label}runfiles agree"$'\n''argument: serve'$'\n''argument: --port=0' "$service" --port=0
expect 'foreign runfiles do not confuse it' "${label}runfiles agree" \
  env RUNFILES_DIR=/nowhere RUNFILES_MANIFEST_FILE=/nowhere/MANIFEST "$graph"

link=$TEST_TMPDIR/link
ln -s "$PWD/$graph" "$link"
expect 'started through a link' "${label}runfiles agree" "$link"

cp "$graph" "$TEST_TMPDIR/lost"
if said=$("$TEST_TMPDIR/lost" 2>&1); then
  echo 'a launcher without its runfiles must fail' >&2
  exit 1
fi
[[ $said == *'found no runfiles folder'*'use //tests/rules/databuild_graph:graph,'* ]]

# The state after `bazel build`: only the graph has runfiles, and files of older builds are not used.
built=$TEST_TMPDIR/built
mkdir -p "$built/graph.plan.runfiles"
cp "$graph" "$plan" "$service" "$built"
runfiles=${PWD%.runfiles/*}.runfiles
ln -s "$runfiles" "$built/graph.runfiles"
expect 'plan uses the runfiles of the graph' "${label}runfiles agree"$'\n''argument: plan' "$built/graph.plan"
expect 'serve uses the runfiles of the graph' "${label}runfiles agree"$'\n''argument: serve' "$built/graph.service"
mkdir -p "$built/graph.service.runfiles/_main/tests/rules/databuild_graph"
echo '{"graphLabel": "//:old"}' >"$built/graph.service.runfiles/_main/tests/rules/databuild_graph/graph.catalog.json"
expect 'old runfiles are not used' "${label}runfiles agree"$'\n''argument: serve' "$built/graph.service"

mkdir "$TEST_TMPDIR/renamed"
cp "$graph" "$TEST_TMPDIR/renamed/mine"
ln -s "$runfiles" "$TEST_TMPDIR/renamed/mine.runfiles"
expect 'renamed with its runfiles' "${label}runfiles agree" "$TEST_TMPDIR/renamed/mine"
