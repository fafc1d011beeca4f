#!/usr/bin/env bash
# Starts a program in all the ways a py_binary is started, and expects the same of each: program_test.sh PROGRAM PARENT
set -euo pipefail

program=$1
parent=$2
here=$PWD
user_path=None
safe_path=1
wanted() {
  cat <<END
module module.py
declared absl
undeclared None
data Found.
arguments ['one', 'two words']
runfiles Found.
PYTHONPATH $user_path
PYTHONSAFEPATH $safe_path
own folder False
child absl
END
}

# Runs a command that starts the program, and compares what it prints and how it ends.
check() {
  local how=$1 printed code=0
  shift
  printed=$("$@" one 'two words') || code=$?
  if [[ $code != 7 || $printed != "$(wanted)" ]]; then
    echo "FAILED: $how (exit code $code)"
    diff <(wanted) <(echo "$printed") || true
    exit 1
  fi
  echo "ok: $how"
}

alone=(env -u RUNFILES_DIR -u RUNFILES_MANIFEST_FILE -u JAVA_RUNFILES -u PYTHON_RUNFILES)

check 'with the environment of a test' "$program"
check 'with no word of runfiles' "${alone[@]}" "$program"
check 'by an absolute path' "${alone[@]}" "$here/$program"
check 'from another program' "$parent"
check 'with the runfiles of another program' env RUNFILES_DIR=/nowhere "$here/$program"

ln -s "$here/$program" "$TEST_TMPDIR/link"
check 'through a symbolic link' "${alone[@]}" "$TEST_TMPDIR/link"

cd /
check 'from another folder' "${alone[@]}" "$here/$program"
check "by its name on the PATH" "${alone[@]}" env PATH="$here/$(dirname "$program"):$PATH" program
user_path=$TEST_TMPDIR
check 'with an import path of the user, which stays as it is' env PYTHONPATH="$user_path" "$here/$program"
