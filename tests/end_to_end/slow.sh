#!/usr/bin/env bash
# A job for the trouble test: `fast/NAME` is done at once, `slow/A_B` needs both and waits for a file.
set -euo pipefail

command="$1"
shift
if [[ "$command" == config ]]; then
  configs=()
  for ref in "$@"; do
    inputs=""
    if [[ "$ref" == slow/* ]]; then
      names="${ref#slow/}"
      for name in "${names%_*}" "${names#*_}"; do
        inputs+="${inputs:+,}{\"dep_type_code\":\"MATERIALIZE\",\"partition_ref\":{\"str\":\"fast/$name\"}}"
      done
    fi
    configs+=("{\"outputs\":[{\"str\":\"$ref\"}],\"inputs\":[$inputs],\"args\":[\"$ref\"]}")
  done
  (
    IFS=,
    echo "{\"configs\":[${configs[*]}]}"
  )
elif [[ "$1" == fast/* ]]; then
  printf x >>"$WAIT_FOLDER/fast_runs"
else
  echo $$ >"$WAIT_FOLDER/pid"
  until [[ -e "$WAIT_FOLDER/go" ]]; do sleep 0.05; done
fi
