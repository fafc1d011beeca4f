#!/usr/bin/env bash
# Starts a py_binary in every supported way, and expects the same output: program_test.sh PROGRAM PARENT
set -euo pipefail

program=$1
parent=$2
here=$PWD
user_path=None
safe_path=1
expected() {
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

# Runs a command that starts the program, and compares its output and exit code.
check() {
  local how=$1 printed code=0
  shift
  printed=$("$@" one 'two words') || code=$?
  if [[ $code != 7 || $printed != "$(expected)" ]]; then
    echo "FAILED: $how (exit code $code)"
    diff <(expected) <(echo "$printed") || true
    exit 1
  fi
  echo "ok: $how"
}

alone=(env -u RUNFILES_DIR -u RUNFILES_MANIFEST_FILE -u JAVA_RUNFILES -u PYTHON_RUNFILES)

check 'with the environment of a test' "$program"
check 'without variables for runfiles' "${alone[@]}" "$program"
check 'by an absolute path' "${alone[@]}" "$here/$program"
check 'from another program' "$parent"
check 'with the runfiles of another program' env RUNFILES_DIR=/nowhere "$here/$program"

ln -s "$here/$program" "$TEST_TMPDIR/link"
check 'through a symbolic link' "${alone[@]}" "$TEST_TMPDIR/link"

cd /
check 'from another directory' "${alone[@]}" "$here/$program"
check "by its name on the PATH" "${alone[@]}" env PATH="$here/$(dirname "$program"):$PATH" program
user_path=$TEST_TMPDIR
check 'with an import path of the user, which does not change' env PYTHONPATH="$user_path" "$here/$program"
