#!/usr/bin/env bash
# A job runs with the packages of its author, so databuild.job brings none: jobs_need_no_package_test.sh DEPENDENCIES
set -euo pipefail

grep -qx '//databuild/job:wire.py' "$1" || {
  echo "the dependencies of jobs are not in $1" >&2
  exit 1
}
if grep -E 'pypi|^//databuild/v1|^//databuild:errors' "$1"; then
  echo 'a job depends on these through databuild.job or databuild.testing, and would import them' >&2
  exit 1
fi
