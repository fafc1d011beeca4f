#!/usr/bin/env bash
# Creates .venv with the packages of the locks and generates databuild/v1, for editors and for tools without Bazel.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

python3 -m venv .venv
.venv/bin/pip install --quiet --no-deps --require-hashes \
  -r third_party/python/requirements_lock.txt -r third_party/python/requirements_duckdb_lock.txt \
  -r third_party/python/requirements_buildbox_lock.txt -r third_party/python/requirements_dask_lock.txt \
  -r third_party/python/requirements_fsspec_lock.txt -r third_party/python/requirements_otlp_lock.txt \
  -r third_party/python/requirements_openlineage_lock.txt \
  -r third_party/python/requirements_dev_lock.txt
tools/dev/generate_protos.sh
