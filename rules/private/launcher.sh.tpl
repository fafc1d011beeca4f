#!/bin/sh
# Runs the command line of DataBuild on %target%.
set -eu

# Find the runfiles tree: beside this launcher, beside that of the graph, or that of the program that contains this one.
case $0 in /*) self=$0 ;; *) self=$PWD/$0 ;; esac
runfiles=
while [ -z "$runfiles" ]; do
  for folder in "${self%/*}"/%neighbour%.runfiles "$self.runfiles" "${self%.runfiles/*}.runfiles"; do
    if [ -e "$folder/%catalog%" ]; then
      runfiles=$folder
      break
    fi
  done
  if [ -n "$runfiles" ]; then
    break
  elif [ -L "$self" ]; then
    target=$(readlink "$self")
    case $target in /*) self=$target ;; *) self=${self%/*}/$target ;; esac
  else
    echo "$0: found no runfiles folder with %catalog%: start it with bazel run, or build it first; in actions of Bazel and" \
      "wherever else it is copied to, use %graph%, which has the runfiles" >&2
    exit 3
  fi
done

unset RUNFILES_MANIFEST_FILE
export RUNFILES_DIR="$runfiles"
# The Python rules change these variables for the command line. Pass the values of the user, for jobs.
set -- ${LC_CTYPE+"--user_env=LC_CTYPE=$LC_CTYPE"} ${PYTHONEXECUTABLE+"--user_env=PYTHONEXECUTABLE=$PYTHONEXECUTABLE"} \
  ${PYTHONPATH+"--user_env=PYTHONPATH=$PYTHONPATH"} ${PYTHONSAFEPATH+"--user_env=PYTHONSAFEPATH=$PYTHONSAFEPATH"} \
  %arguments%"$@"
# With those of the user, the command line could import packages of the user instead of its own.
unset PYTHONEXECUTABLE PYTHONPATH PYTHONSAFEPATH
exec "$runfiles/%cli%" "--catalog=$runfiles/%catalog%" "--runfiles=$runfiles" "$@"
