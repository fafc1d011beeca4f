#!/usr/bin/env bash
# Prints the job of `lookup_graph` that produces each ref; nothing for refs of other kinds.
set -euo pipefail

[[ -z "${LOOKUP_ENVIRONMENT:-}" ]] || env -0 >"$LOOKUP_ENVIRONMENT"
separator=
printf '{'
for ref in "$@"; do
  case "$ref" in
    raw/* | clean/*)
      printf '%s"%s": "//tests/end_to_end/lab:any_%s"' "$separator" "$ref" "${ref%%/*}"
      separator=', '
      ;;
    odd/*)
      printf '%s"%s": "//nowhere:job"' "$separator" "$ref"
      separator=', '
      ;;
  esac
done
printf '}\n'
