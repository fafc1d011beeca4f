#!/usr/bin/env bash
# Prints the branch coverage of what plans, runs and records builds, and fails below 95 %: coverage.sh [ARGUMENT OF PYTEST...]
#
# Needs the .venv of tools/dev/venv.sh, or the interpreter that $PYTHON names.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

tools/dev/generate_protos.sh
exec "${PYTHON:-.venv/bin/python}" -m pytest --cov=databuild.graph --cov=databuild.orchestration --cov=databuild.event_log \
  --cov-branch --cov-report=term-missing:skip-covered --cov-fail-under=95 tests/unit tests/contract tests/integration "$@"
