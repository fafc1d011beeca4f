#!/bin/sh
# No-op job: the same as noop_job.c, for machines without a C compiler.
set -eu

if [ "$1" = exec ]; then
  [ -z "${BENCHMARK_COUNT:-}" ] || printf . >>"$BENCHMARK_COUNT"
  exit 0
fi
[ "$1" = config ] || exit 2
shift

input() {
  printf '%s{"dep_type_code":"MATERIALIZE","partition_ref":{"str":"%s"}}' "$comma" "$1"
  comma=,
}

# Prints the inputs of ref $1.
inputs_of() {
  comma=
  rest=${1#*/}
  first=${rest%%/*}
  n=0
  case $1 in
    chain/0) ;;
    chain/*) input "chain/$((first - 1))" ;;
    wide/*)
      while [ "$n" -lt "$first" ]; do
        input "leaf/$n"
        n=$((n + 1))
      done
      ;;
    layer/*/0/*) ;;
    layer/*)
      third=${rest##*/}
      second=${rest#*/}
      second=${second%/*}
      for neighbour in "$((third - 1))" "$third" "$((third + 1))"; do
        if [ "$neighbour" -ge 0 ] && [ "$neighbour" -lt "$first" ]; then
          input "layer/$first/$((second - 1))/$neighbour"
        fi
      done
      ;;
    layers/*)
      while [ "$n" -lt "$first" ]; do
        input "layer/$first/$((${rest#*/} - 1))/$n"
        n=$((n + 1))
      done
      ;;
  esac
}

separator=
printf '{"configs":['
for ref in "$@"; do
  printf '%s{"outputs":[{"str":"%s"}],"args":["%s"],"inputs":[' "$separator" "$ref" "$ref"
  inputs_of "$ref"
  printf ']}'
  separator=,
done
printf ']}\n'
