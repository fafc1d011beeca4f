#!/usr/bin/env bash
# A job in bash. It produces word/WORD, a file with the word.
set -euo pipefail

case $1 in
  config)
    configs=
    for ref in "${@:2}"; do
      configs+="${configs:+,}{\"outputs\": [{\"str\": \"$ref\"}], \"args\": [\"${ref#word/}\"]}"
    done
    echo "{\"configs\": [$configs]}"
    ;;
  exec)
    mkdir -p word
    echo "$2" >"word/$2"
    ;;
esac
