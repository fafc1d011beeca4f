#!/bin/sh
# Writes the flights of one day, and reports where: daily_delays.sh DATE
set -eu

path=$DELAYS/$1.csv
mkdir -p "$DELAYS"
printf 'carrier,delay\nAA,10\nAA,20\nUA,%s\n' "1${1##*-}" >"$path"
printf '{"partition": {"ref": "daily_delays/date=%s", "metadata": {"path": "%s"}}}\n' "$1" "$path" >>"$DATABUILD_REPORT"
