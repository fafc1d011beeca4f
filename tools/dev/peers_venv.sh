#!/usr/bin/env bash
# Creates a venv with the workflow tools that the benchmark compares DataBuild with: tools/dev/peers_venv.sh [FOLDER]
#
# The folder is .peers if none is given. `bazel run //benchmarks -- --shape=peers --peers=FOLDER` uses it.
set -euo pipefail
lock="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/third_party/python/requirements_peers_lock.txt"
folder=${1:-.peers}

python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --no-deps --require-hashes -r "$lock"
