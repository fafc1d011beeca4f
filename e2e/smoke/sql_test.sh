#!/usr/bin/env bash
# Builds SQL jobs with the graph of another module: sql_test.sh GRAPH
set -euo pipefail

graph=$PWD/$1

fail() {
  echo "$1" >&2
  exit 1
}

export BUILD_WORKING_DIRECTORY=$TEST_TMPDIR BUILD_WORKSPACE_DIRECTORY=$TEST_TMPDIR
cd "$TEST_TMPDIR"

"$graph" weekly_sales/week=2024-W09
[[ -s data/weekly_sales/week=2024-W09/data.parquet ]] || fail 'the result is not in the workspace'
"$graph" explain weekly_sales/week=2024-W09 | grep -q '^metadata *rows = 3$' || fail 'the week does not have three days with sales'

if "$graph" weekly_sales/week=2024-W20; then
  fail 'a week without sales passed its check'
fi
[[ ! -e data/weekly_sales/week=2024-W20/data.parquet ]] || fail 'a result that fails its check was stored'
