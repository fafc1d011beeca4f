#!/usr/bin/env bash
# A job in bash. It produces generated_number/NAME, a file with a number from 0 to 99 that depends only on the name.
set -euo pipefail

data=${BASIC_GRAPH_DATA:-.databuild/data/basic_graph}

# Prints the name in the ref $1. Fails for an invalid name.
name_of() {
  local name=${1#generated_number/}
  if [[ ! $name =~ ^[a-z]+$ ]]; then
    echo "$1: a name may have only lower-case letters, as in generated_number/pippin" >&2
    exit 2
  fi
  echo "$name"
}

# Prints one configuration per requested ref.
config() {
  local separator='' name ref
  printf '{"configs": ['
  for ref in "$@"; do
    name=$(name_of "$ref")
    printf '%s{"outputs": [{"str": "%s"}], "inputs": [], "args": ["%s"], "env": {}}' "$separator" "$ref" "$name"
    separator=', '
  done
  printf ']}\n'
}

generate() {
  local checksum _
  read -r checksum _ < <(printf %s "$1" | cksum)
  mkdir -p "$data/generated_number"
  # Write a temporary file and rename it, so that the partition is complete or absent.
  echo $((checksum % 100)) >"$data/generated_number/$1.part"
  mv "$data/generated_number/$1.part" "$data/generated_number/$1"
  echo "$1 has the number $((checksum % 100))"
}

case ${1:-} in
  config) config "${@:2}" ;;
  exec) generate "$2" ;;
  *)
    echo "usage: $0 config REF... | exec NAME" >&2
    exit 2
    ;;
esac
