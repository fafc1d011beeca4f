#!/usr/bin/env bash
# Updates the locks in third_party/python from the files beside them: tools/dev/relock.sh [UV ARGUMENT...]
#
# Keeps versions that still satisfy the requirements. `tools/dev/relock.sh --upgrade` updates all of them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

venv=$(mktemp -d)
trap 'rm -rf "$venv"' EXIT
python3 -m venv "$venv"
"$venv/bin/pip" install --quiet uv

# uv does not read the configuration of pip: pass the index of pip.
UV_DEFAULT_INDEX=${UV_DEFAULT_INDEX:-$("$venv/bin/pip" config get global.index-url 2>/dev/null || true)}
if [[ -n $UV_DEFAULT_INDEX ]]; then export UV_DEFAULT_INDEX; else unset UV_DEFAULT_INDEX; fi

# Writes the lock $1 of the requirements $2, for every Python in MODULE.bazel. Further arguments go to uv.
lock() {
  "$venv/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
    --custom-compile-command tools/dev/relock.sh --output-file "third_party/python/$1" "${@:3}" "third_party/python/$2"
}

lock requirements_lock.txt requirements.in "$@"
# A program can import packages of several locks, so these have the same version of each package.
lock requirements_duckdb_lock.txt requirements_duckdb.in --constraints third_party/python/requirements_lock.txt "$@"
lock requirements_dask_lock.txt requirements_dask.in --constraints third_party/python/requirements_lock.txt "$@"
lock requirements_fsspec_lock.txt requirements_fsspec.in --constraints third_party/python/requirements_lock.txt \
  --constraints third_party/python/requirements_dask_lock.txt "$@"
lock requirements_otlp_lock.txt requirements_otlp.in --constraints third_party/python/requirements_lock.txt "$@"
lock requirements_openlineage_lock.txt requirements_openlineage.in \
  --constraints third_party/python/requirements_lock.txt --constraints third_party/python/requirements_dask_lock.txt \
  --constraints third_party/python/requirements_fsspec_lock.txt "$@"
lock requirements_buildbox_lock.txt requirements_buildbox.in --no-deps "$@"
lock requirements_peers_lock.txt requirements_peers.in "$@"
lock requirements_dev_lock.txt requirements_dev.in --constraints third_party/python/requirements_lock.txt \
  --constraints third_party/python/requirements_duckdb_lock.txt \
  --constraints third_party/python/requirements_dask_lock.txt \
  --constraints third_party/python/requirements_fsspec_lock.txt \
  --constraints third_party/python/requirements_otlp_lock.txt \
  --constraints third_party/python/requirements_openlineage_lock.txt "$@"
