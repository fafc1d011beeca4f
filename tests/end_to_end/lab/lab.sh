#!/usr/bin/env bash
# A job that the tests control, so that one graph serves every scenario. It sources bash code of the test in the folder $LAB:
# `config.KIND` before it answers about refs of a kind, and `exec.KIND.NAME` before it produces a partition.
#
# `raw/NAME`, `flaky/NAME` and `limited/NAME` need nothing, `clean/NAME` needs `raw/NAME`, and `report/A_B` needs `clean/A`
# and `clean/B`. The refs of each run are appended to `ran`, one per line.
set -euo pipefail

inputs_of() {
  local name="${1#*/}" names input inputs=()
  case "$1" in
    clean/*) inputs=("raw/$name") ;;
    report/*)
      IFS=_ read -ra names <<<"$name"
      inputs=("${names[@]/#/clean/}")
      ;;
  esac
  for input in "${inputs[@]}"; do
    printf '%s{"dep_type_code": "MATERIALIZE", "partition_ref": {"str": "%s"}}' "$comma" "$input"
    comma=,
  done
}

extra=
command="$1"
shift
kind="${1%%/*}"
if [[ "$command" == config ]]; then
  # shellcheck source=/dev/null
  [[ ! -e "$LAB/config.$kind" ]] || source "$LAB/config.$kind"
  separator=
  printf '{"configs": ['
  for ref in "$@"; do
    comma=
    printf '%s{"outputs": [{"str": "%s"}], "args": ["%s"], "env": {"EXTRA": "%s"}, "inputs": [' "$separator" "$ref" "$ref" "$extra"
    inputs_of "$ref"
    printf ']}'
    separator=,
  done
  printf ']}\n'
else
  ref="$1"
  printf '%s\n' "$ref" >>"$LAB/ran"
  # shellcheck source=/dev/null
  [[ ! -e "$LAB/exec.${ref//\//.}" ]] || source "$LAB/exec.${ref//\//.}"
fi
