#!/bin/sh
# Runs the command line of DataBuild on %target%.
set -eu

# The runfiles are beside this program, or it lies in those of the program that started it.
case $0 in /*) self=$0 ;; *) self=$PWD/$0 ;; esac
runfiles=
while [ -z "$runfiles" ]; do
  if [ -d "$self.runfiles" ]; then
    runfiles=$self.runfiles
  elif [ "$self" != "${self%.runfiles/*}" ]; then
    runfiles=${self%.runfiles/*}.runfiles
  elif [ -L "$self" ]; then
    target=$(readlink "$self")
    case $target in /*) self=$target ;; *) self=${self%/*}/$target ;; esac
  else
    echo "$0: found no runfiles folder beside it; start it with bazel run, or build it first" >&2
    exit 3
  fi
done

unset RUNFILES_MANIFEST_FILE
export RUNFILES_DIR="$runfiles"
# Jobs get these as the user set them, and not as the Python rules set them for the command line.
exec "$runfiles/%cli%" "--catalog=$runfiles/%catalog%" "--runfiles=$runfiles" \
  ${LC_CTYPE+"--user_env=LC_CTYPE=$LC_CTYPE"} ${PYTHONEXECUTABLE+"--user_env=PYTHONEXECUTABLE=$PYTHONEXECUTABLE"} \
  ${PYTHONPATH+"--user_env=PYTHONPATH=$PYTHONPATH"} ${PYTHONSAFEPATH+"--user_env=PYTHONSAFEPATH=$PYTHONSAFEPATH"} \
  %arguments%"$@"
