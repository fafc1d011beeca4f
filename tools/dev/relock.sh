#!/usr/bin/env bash
# Brings the locks in third_party/python up to date with requirements.in and requirements_dev.in: tools/dev/relock.sh [ARGUMENT OF UV...]
#
# Without arguments, versions that still fit stay as they are; `tools/dev/relock.sh --upgrade` takes the newest of everything.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

venv=$(mktemp -d)
trap 'rm -rf "$venv"' EXIT
python3 -m venv "$venv"
"$venv/bin/pip" install --quiet uv

# uv reads other configuration than pip does: give it pip's index.
UV_DEFAULT_INDEX=${UV_DEFAULT_INDEX:-$("$venv/bin/pip" config get global.index-url 2>/dev/null || true)}
if [[ -n $UV_DEFAULT_INDEX ]]; then export UV_DEFAULT_INDEX; else unset UV_DEFAULT_INDEX; fi

# Writes the lock $1 of the requirements $2, with more arguments of uv. It holds for every Python that MODULE.bazel supports.
lock() {
  "$venv/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
    --custom-compile-command tools/dev/relock.sh --output-file "third_party/python/$1" "${@:3}" "third_party/python/$2"
}

lock requirements_lock.txt requirements.in "$@"
# A test that has packages of both locks on its import path finds one version of each.
lock requirements_dev_lock.txt requirements_dev.in --constraints third_party/python/requirements_lock.txt "$@"
