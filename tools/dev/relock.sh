#!/usr/bin/env bash
# Brings third_party/python/requirements_lock.txt up to date with requirements.in: tools/dev/relock.sh [ARGUMENT OF UV...]
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

"$venv/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
  --custom-compile-command tools/dev/relock.sh --output-file third_party/python/requirements_lock.txt "$@" \
  third_party/python/requirements.in
