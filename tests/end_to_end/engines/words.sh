#!/bin/sh
# Reports a word for each number. It needs nothing of the machine of the orchestrator.
set -eu
word=$(printf "%0$1d" 0 | tr 0 x)
echo "$word"
echo "{\"partition\": {\"ref\": \"words/$1\", \"metadata\": {\"word\": \"$word\"}}}" >>"$DATABUILD_REPORT"
