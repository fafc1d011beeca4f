#!/usr/bin/env bash
# Prints the branch coverage of databuild by its unit, contract and integration tests: coverage.sh [ARGUMENT OF PYTEST...]
#
# Needs the .venv of tools/dev/venv.sh, or the interpreter that $PYTHON names.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

tools/dev/generate_protos.sh
exec "${PYTHON:-.venv/bin/python}" -m pytest --cov --cov-branch --cov-report=term-missing:skip-covered tests/unit tests/contract tests/integration "$@"
