#!/bin/sh
# Writes the transactions of an hour, one amount in cents per line: transactions.sh HOUR. They depend only on the hour.
set -eu
file=data/rolling/transactions/hour=$1
mkdir -p "${file%/*}"
seed=$(printf %s "$1" | cksum | cut -d ' ' -f 1)
printf '%s\n' $((seed % 2000 - 900)) $((seed / 2000 % 2000 - 900)) >"$file.part"
mv "$file.part" "$file" # the partition is complete or absent
printf '{"partition": {"ref": "transactions/hour=%s", "metadata": {"path": "%s"}}}\n' "$1" "$PWD/$file" >>"$DATABUILD_REPORT"
