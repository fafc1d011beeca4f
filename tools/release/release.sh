#!/usr/bin/env bash
# Makes the archives of a release, and checks them: release.sh VERSION FOLDER [COMMIT]
#
# FOLDER gets databuild-VERSION.tar.gz, the files of COMMIT (by default HEAD) with the version in MODULE.bazel, and
# databuild-VERSION.docs.tar.gz, the documentation of the rules for the Bazel Central Registry. The same commit makes the same
# bytes. The check tests e2e/smoke as a consumer of the archive.
#
# With RELEASE_STEPS=archive, it only makes the first archive.
set -euo pipefail

if (($# < 2)); then
  echo 'usage: release.sh VERSION FOLDER [COMMIT]' >&2
  exit 2
fi
version=$1
commit=${3:-HEAD}
if ! [[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[0-9a-z.]+)?$ ]]; then
  echo "The version is '$version', but must be such as 1.2.3 or 1.2.3-rc1." >&2
  exit 2
fi
mkdir -p "$2"
folder=$(cd "$2" && pwd -P)
name=databuild-$version
archive=$folder/$name.tar.gz
root=$(git rev-parse --show-toplevel)
cd "$root"
work=$(mktemp -d)
# Bazel makes directories read-only.
trap 'chmod -R u+w "$work" && rm -rf "$work"' EXIT

# Writes the archive of a commit that differs from $commit in the version only. New objects are outside the repository.
make_archive() {
  local time blob tree
  time=$(git show --no-patch --format=%ct "$commit^{commit}")
  mkdir "$work/objects"
  export GIT_INDEX_FILE=$work/index GIT_OBJECT_DIRECTORY=$work/objects
  GIT_ALTERNATE_OBJECT_DIRECTORIES=$(git rev-parse --path-format=absolute --git-common-dir)/objects
  export GIT_ALTERNATE_OBJECT_DIRECTORIES
  git show "$commit:MODULE.bazel" >"$work/MODULE.bazel"
  if ! grep -qxF 'module(name = "databuild")' "$work/MODULE.bazel"; then
    echo 'MODULE.bazel has no line module(name = "databuild"), to which the version is added.' >&2
    exit 1
  fi
  blob=$(sed "s/^module(name = \"databuild\")\$/module(name = \"databuild\", version = \"$version\")/" "$work/MODULE.bazel" |
    git hash-object -w --stdin)
  git read-tree "$commit"
  git update-index --cacheinfo "100644,$blob,MODULE.bazel"
  tree=$(git write-tree)
  # A commit, since git archive takes the times of files and a comment from it.
  export GIT_AUTHOR_NAME=DataBuild GIT_AUTHOR_EMAIL=release@databuild.example GIT_AUTHOR_DATE="@$time +0000"
  export GIT_COMMITTER_NAME=DataBuild GIT_COMMITTER_EMAIL=release@databuild.example GIT_COMMITTER_DATE="@$time +0000"
  git -c tar.umask=0022 archive --format=tar --prefix="$name/" "$(git commit-tree "$tree" -m "$version")" | gzip -9n >"$archive"
  unset GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES
  tar -xzf "$archive" -C "$work"
}

# Runs Bazel by the script in the archive, with its output in the working folder.
bazel() {
  "$work/$name/bazelw" --output_base="$work/output" "$@"
}

make_docs() {
  local time
  time=$(git show --no-patch --format=%ct "$commit^{commit}")
  cd "$work/$name"
  bazel build --color=no --curses=no //docs:rules_doc //docs:duckdb_rules_doc
  tar -C "$(bazel info bazel-bin 2>/dev/null)" --sort=name --mtime="@$time" --owner=0 --group=0 --numeric-owner --mode=0644 \
    -cf - docs/rules_doc.binaryproto docs/duckdb_rules_doc.binaryproto | gzip -9n >"$folder/$name.docs.tar.gz"
  bazel shutdown
}

# Tests e2e/smoke as a workspace of its own, which gets DataBuild from the archive.
check_archive() {
  local consumer=$work/consumer integrity
  integrity=sha256-$(openssl dgst -sha256 -binary "$archive" | base64)
  cp -r "$work/$name/e2e/smoke" "$consumer"
  cd "$consumer"
  sed -i '/^local_path_override(/,/^)/d' MODULE.bazel
  cat >>MODULE.bazel <<MODULE
archive_override(
    module_name = "databuild",
    integrity = "$integrity",
    strip_prefix = "$name",
    urls = ["file://$archive"],
)
MODULE
  bazel test --color=no --curses=no --jobs=2 --test_output=errors //...
  bazel shutdown
}

make_archive
if [[ ${RELEASE_STEPS:-} != archive ]]; then
  (make_docs)
  (check_archive)
fi
ls -l "$folder"
