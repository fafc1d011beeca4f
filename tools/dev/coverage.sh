#!/usr/bin/env bash
# Prints the branch coverage of databuild by its unit and contract tests: coverage.sh [ARGUMENT OF PYTEST...]
#
# Needs the .venv of tools/dev/venv.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

tools/dev/generate_protos.sh
exec .venv/bin/python -m pytest --cov --cov-branch --cov-report=term-missing:skip-covered tests/unit tests/contract "$@"
