#!/usr/bin/env bash
# Runs the test of several hosts, or prints SKIPPED if it may not create network namespaces.
#
#   bazel run //tests/hosts                                                   as .ci/run does
#   tests/hosts/hosts_test.sh .venv/bin/python -m tests.hosts.several_hosts   without Bazel
#
# It is no test target, since Bazel's sandbox does not allow that. Its namespaces end with its process.
set -euo pipefail

lab=(unshare --user --map-root-user --net --mount --pid --fork --kill-child --mount-proc --)
if ! said=$("${lab[@]}" unshare --net --pid --fork --mount-proc ip link add lab0 type veth peer name host0 2>&1); then
  echo "hosts_test: SKIPPED: no network namespaces here: ${said//$'\n'/; }"
  exit 0
fi
exec "${lab[@]}" "$@"
