#!/usr/bin/env bash
# Tests the command of a databuild_graph_test: calls_check_with_the_samples_test.sh TEST
set -euo pipefail

printed=$("$1")
expected='  "graphLabel": "//tests/rules/databuild_graph_test:graph",
runfiles agree
argument: check
argument: sum/it'\''s
argument: sum/a b'
if [[ $printed != "$expected" ]]; then
  echo "expected"$'\n'"$expected"$'\n'"but it printed"$'\n'"$printed" >&2
  exit 1
fi
