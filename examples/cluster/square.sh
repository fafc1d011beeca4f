#!/bin/sh
# Squares a number, and takes its time, so that its log can be followed.
set -eu
for second in 1 2 3; do
  echo "second $second of 3 on process $$"
  sleep 1
done
echo "{\"partition\": {\"ref\": \"squares/$1\", \"metadata\": {\"square\": $(($1 * $1))}}}" >>"$DATABUILD_REPORT"
