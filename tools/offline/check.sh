#!/usr/bin/env bash
# Tests bazelw, and commands of Bazel that read the graph of modules or of targets, with the offline registry:
# check.sh WORKSPACE GRAPH
#
# The last line is "N passed, N failed".
set -euo pipefail

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
bazel=$checkout/bazelw
graph=$2
cd "$1"
passed=0
failed=0
folder=$(mktemp -d)
printed=$folder/printed
trap 'rm -rf "$folder"' EXIT

# Counts the check $1, which ended with exit code $2.
count() {
  if (($2 == 0)); then
    echo "ok: $1"
    passed=$((passed + 1))
  else
    echo "FAILED: $1"
    failed=$((failed + 1))
  fi
}

# Runs a command of Bazel. Expects success, and the text $1 in its output unless $1 is empty.
expect() {
  local text=$1 code=0
  shift
  "$bazel" "$@" >"$printed" 2>&1 || code=$?
  if [[ $code == 0 && -n $text ]]; then grep -qF -- "$text" "$printed" || code=$?; fi
  if ((code != 0)); then tail -n 20 "$printed"; fi
  count "bazel $*" "$code"
}

# Runs bazelw in a checkout in the directory $1. Expects exit code $2.
expect_path() {
  local copy=$folder/$1 code=0
  mkdir -p "$copy"
  cp "$checkout"/{bazelw,MODULE.bazel,.bazelrc} "$copy"
  (cd "$copy" && ./bazelw --version) >"$printed" 2>&1 || code=$?
  if ((code != 0)); then grep -qF 'Move the checkout' "$printed" || code=1; fi
  count "a checkout in the directory '$1'" "$((code != $2))"
}

# Expects that bazelw replaces its old flags in user.bazelrc, does so only once, and keeps the flags of the user.
expect_flags() {
  mkdir "$folder/consumer"
  cd "$folder/consumer"
  touch MODULE.bazel
  echo 'try-import %workspace%/user.bazelrc' >.bazelrc
  printf '%s\n' 'build --jobs=3' "common --registry=file://$checkout/tools/offline/old  # bazelw: of an older checkout" >user.bazelrc
  "$bazel" --version >/dev/null
  cp user.bazelrc first
  "$bazel" --version >/dev/null
  code=0
  { cmp first user.bazelrc && grep -qx 'build --jobs=3' first && ! grep -q /old first && grep -q 'file:.*offline/registry ' first; } || code=$?
  count "flags of an older checkout are replaced" "$code"
  cd "$OLDPWD"
}

expect_path 'letters_1.2~x' 0
expect_path 'with space' 2
expect_path 'a#b' 2
expect_path 'a%20b' 2
expect_path 'größe' 2
expect_flags
expect 'rules_python@' mod graph
expect 'rules_python@' mod explain rules_python
expect 'rules_python@' mod path rules_python
expect 'rules_shell' mod show_repo @rules_shell
before=$(<MODULE.bazel)
expect '' mod tidy
count 'mod tidy does not change MODULE.bazel' "$([[ $(<MODULE.bazel) == "$before" ]]; echo $?)"
expect '@zlib' query "deps($graph)"
expect "$graph" query "rdeps(//..., $graph)"
expect "$graph" query "allrdeps($graph)" --universe_scope=//...
expect "$graph" query "somepath(//..., $graph)"
expect '@rules_python//python/runfiles:runfiles' query @rules_python//python/runfiles

# A consumer of DataBuild installs the packages of its runtime and, if it has SQL jobs, of DuckDB, but none for development.
if [[ $PWD != "$checkout" ]]; then
  mapfile -t hubs < <(cd "$("$bazel" info output_base 2>/dev/null)/external" && ls -d ./*databuild*_pypi)
  count "only packages for consumers are installed: ${hubs[*]}" "$([[ ${#hubs[@]} -gt 0 && ${hubs[*]} != *_dev_* ]]; echo $?)"
fi

echo "$passed passed, $failed failed"
((failed == 0))
