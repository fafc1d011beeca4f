#!/usr/bin/env bash
# The environment of jobs: the user's, without the variables of the command line.

LOOKUP_GRAPH="$PWD/$2"

# shellcheck source=tests/end_to_end/lib.sh
source "$(dirname "$0")/lib.sh"

RUNFILES="${GRAPH%.runfiles/*}.runfiles"

# Variables that DataBuild sets for each job run, variables of the working directory, and variables that every shell
# sets.
OURS='DATABUILD_(BUILD_REQUEST_ID|JOB_RUN_ID|JOB_LABEL|ATTEMPT|ENVIRONMENT|FENCING_TOKEN|REPORT|TASK|STARTED_BY)'
OURS+='|TRACEPARENT|EXTRA|RUNFILES_DIR|BUILD_WORKSPACE_DIRECTORY|BUILD_WORKING_DIRECTORY|_|SHLVL|PWD|OLDPWD'
OTHER_RUNFILES='JAVA_RUNFILES|PYTHON_RUNFILES|RUNFILES_MANIFEST_FILE|RUNFILES_MANIFEST_ONLY'

# variables FILE: the user's variables of an environment that `env -0` has written, sorted.
variables() {
  grep -zvE "^($OURS|$OTHER_RUNFILES)=" "$1" | sort -z | tr '\0' '\n'
}

# user_has [VARIABLE...]: starts over as a user who has set only these of the variables that the Python rules also set.
user_has() {
  fresh
  unset PYTHONPATH PYTHONSAFEPATH PYTHONEXECUTABLE LC_CTYPE
  unset -f is_absolute rlocation # exported by Bazel; a POSIX shell does not pass on functions
  # shellcheck disable=SC2163 # its arguments are assignments
  [[ $# == 0 ]] || export "$@"
  export DATABUILD_TOKEN=0123456789abcdef0123456789abcdef
  env -0 >"$LAB/user"
  # shellcheck disable=SC2016 # for the job to expand
  when_asked raw 'env -0 >"$LAB/configured"'
  # shellcheck disable=SC2016
  when_made raw/a 'env -0 >"$LAB/executed"; python3 -c "import sys; print(*sys.path, sep=chr(10))" >"$LAB/path"; pwd >"$LAB/cwd"'
}

# is_the_users WHAT...: checks that jobs had the user's environment when they were configured or executed.
is_the_users() {
  local what
  for what in "$@"; do
    [[ -s "$LAB/$what" ]] || fail "no job was $what"
    diff <(variables "$LAB/user") <(variables "$LAB/$what") || fail "a job that is $what has another environment than the user"
    grep -qzFx "RUNFILES_DIR=$RUNFILES" "$LAB/$what" || fail "a job that is $what has no runfiles"
    ! grep -qzE "^($OTHER_RUNFILES)=" "$LAB/$what" || fail "a job that is $what has the runfiles of another program"
    [[ "$(grep -zE '^(PWD|BUILD_(WORKSPACE|WORKING)_DIRECTORY)=' "$LAB/$what" | sort -zu | tr '\0' ' ')" == \
      "BUILD_WORKING_DIRECTORY=$TEST_TMPDIR BUILD_WORKSPACE_DIRECTORY=$TEST_TMPDIR PWD=$TEST_TMPDIR " ]] ||
      fail "a job that is $what is told of another folder"
    mv "$LAB/$what" "$LAB/$what.seen"
  done
}

# Every front end, for a user without any of the variables that the Python rules set, and for a user with all of them.
for user in without with; do
  if [[ $user == without ]]; then
    user_has
  else
    user_has "PYTHONPATH=$TEST_TMPDIR/a b:/c" PYTHONSAFEPATH= "PYTHONEXECUTABLE=$(command -v python3)" LC_CTYPE=POSIX
  fi
  run 0 plan raw/a
  is_the_users configured
  run 0 build raw/a
  is_the_users configured executed
  grep -F .runfiles "$LAB/path" && fail "a job's own Python imports DataBuild's packages"
  [[ "$(cat "$LAB/cwd")" == "$TEST_TMPDIR" ]] || fail "the job runs in $(cat "$LAB/cwd")"
  run 0 explain raw/a
  is_the_users configured

  # A job must not read the tokens of the service.
  DATABUILD_TOKENS='ann write 0123456789abcdef0123456789abcdef' serve
  run 0 build raw/a --force
  is_the_users configured executed
  run 0 plan raw/a --force
  is_the_users configured
  kill -TERM "$SERVICE"
  wait "$SERVICE" || fail "the service ended with $?"
  unset SERVER SERVICE
done
DATABUILD_TOKENS='for a service' run 0 build raw/a --force
is_the_users executed

# A program of the user may have the name of a module of ours.
user_has
# shellcheck disable=SC2016 # for the job to expand
when_made raw/a 'python3 -c "import google.protobuf" 2>"$LAB/said" || exit 0; python3 -c "import google.protobuf as p; print(p.__file__)" >"$LAB/said"'
run 0 build raw/a
! grep -F .runfiles "$LAB/said" || fail "a job imports DataBuild's protobuf"

# A lookup gets the same environment as a job.
user_has PYTHONPATH=/theirs
GRAPH="$LOOKUP_GRAPH"
export LOOKUP_ENVIRONMENT="$LAB/executed"
env -0 >"$LAB/user"
run 0 plan raw/a
is_the_users executed
run 0 partitions adopt raw/a --reason=test
is_the_users executed
echo "environment_test: passed"
