#!/bin/sh
# Stands in for the command line of DataBuild: prints the catalog's graph, and the arguments after it, one a line.
set -eu
for argument in "$@"; do
  case $argument in
    --catalog=*) grep graphLabel "${argument#--catalog=}" ;;
    --runfiles=*) if [ "$RUNFILES_DIR" = "${argument#--runfiles=}" ]; then echo 'runfiles agree'; fi ;;
    *) echo "argument: $argument" ;;
  esac
done
