#!/usr/bin/env bash
# A job in bash: makes the partition generated_number/NAME, a file with a number between 0 and 99 that follows from the name.
set -euo pipefail

data=${BASIC_GRAPH_DATA:-.databuild/data/basic_graph}

# Prints the name in the ref $1. What is unclear is an error, never a guess.
name_of() {
  local name=${1#generated_number/}
  if [[ ! $name =~ ^[a-z]+$ ]]; then
    echo "$1: a name has lower-case letters only, as in generated_number/pippin" >&2
    exit 2
  fi
  echo "$name"
}

# One configuration for each ref asked for.
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
  # Written beside its place and then moved, so that the partition is complete or absent.
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
