#!/usr/bin/env bash
# Generates databuild/v1 and the messages of extensions into the source tree, which git ignores, for editors and for pytest without Bazel.
#
# Uses the .venv of tools/dev/venv.sh, or another Python with grpcio-tools: PYTHON=... tools/dev/generate_protos.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

python=${PYTHON:-.venv/bin/python}
[[ -n ${PYTHON:-} || -x $python ]] || python=python3

"$python" tools/protoc/protoc.py -Iproto --python_out=. --pyi_out=. proto/databuild/v1/*.proto
"$python" tools/protoc/protoc.py -Iproto --grpc_python_out=. proto/databuild/v1/service.proto
"$python" tools/protoc/protoc.py -Iproto --python_out=. --pyi_out=. proto/databuild/executors/reapi/*.proto
"$python" tools/protoc/protoc.py -Iproto --python_out=. --pyi_out=. proto/databuild/exporters/bes/*.proto
