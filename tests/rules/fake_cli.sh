#!/bin/sh
# Replaces the command line of DataBuild: prints the graph of the catalog and the arguments after it, one per line.
set -eu
for argument in "$@"; do
  case $argument in
    --catalog=*) grep graphLabel "${argument#--catalog=}" ;;
    --runfiles=*) if [ "$RUNFILES_DIR" = "${argument#--runfiles=}" ]; then echo 'runfiles agree'; fi ;;
    *) echo "argument: $argument" ;;
  esac
done
