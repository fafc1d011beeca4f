#!/usr/bin/env bash
# Prints the branch coverage of graph, orchestration and event_log. Fails below 95 %: coverage.sh [PYTEST ARGUMENT...]
#
# Uses the .venv of tools/dev/venv.sh, or the interpreter in $PYTHON.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

tools/dev/generate_protos.sh
exec "${PYTHON:-.venv/bin/python}" -m pytest --cov=databuild.graph --cov=databuild.orchestration --cov=databuild.event_log \
  --cov-branch --cov-report=term-missing:skip-covered --cov-fail-under=95 tests/unit tests/contract tests/integration "$@"
