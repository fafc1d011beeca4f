#!/usr/bin/env bash
# A state directory that cannot be used: full, read-only, of a newer DataBuild, of another program, or missing. The exit
# code is 3 or 2, one line names the next step, no record is lost, and builds continue afterwards.

# Separate file systems need a mount namespace; without one, limits on files replace them.
if [[ -z "${OWN_MOUNTS:-}" ]]; then
  OWN_MOUNTS=no
  for namespaces in "--mount" "--user --map-root-user --mount"; do
    # shellcheck disable=SC2086 # a list
    if unshare $namespaces mount -t tmpfs tmpfs "$TEST_TMPDIR" 2>/dev/null; then
      OWN_MOUNTS=yes exec unshare $namespaces "$0" "$@"
    fi
  done
fi

# shellcheck source=tests/end_to_end/lib.sh
source "$(dirname "$0")/lib.sh"

REF=report/a_b

# refused CODE TEXT ARGS...: checks that a command is refused with one line, without any effect.
refused() {
  local code="$1" said="$2"
  shift 2
  run "$code" "$@"
  says err "$said"
  grep -q Traceback "$TEST_TMPDIR/err" && fail "it is taken for a fault of DataBuild"
  [[ "$(grep -c . "$TEST_TMPDIR/err")" -lt 5 ]] || fail "it takes too many words"
}

# goes_on: checks that partitions that were finished before the fault are not built again, and that the rest is built.
goes_on() {
  local ref
  run 0 partitions --status=AVAILABLE
  sed -nE 's/^([a-z]+\/[a-z_]+) .*/\1/p' "$TEST_TMPDIR/out" >"$TEST_TMPDIR/known"
  rm -f "$LAB"/exec.*
  : >"$LAB/ran"
  run 0 build "$REF"
  lawful
  for ref in raw/a raw/b clean/a clean/b "$REF"; do
    [[ "$(sort -u "$TEST_TMPDIR/known" "$LAB/ran" | grep -cxF "$ref")" == 1 ]] || fail "$ref was not built"
    [[ "$(cat "$TEST_TMPDIR/known" "$LAB/ran" | grep -cxF "$ref")" == 1 ]] || fail "$ref was built again"
  done
  run 0 build "$REF"
  says out "nothing to do"
  undamaged
}

undamaged() {
  python3 - "$STATE/events.db" <<'END' || fail "the database is damaged"
import sqlite3, sys
assert sqlite3.connect(sys.argv[1]).execute("PRAGMA integrity_check").fetchone() == ("ok",)
END
}

if [[ "$OWN_MOUNTS" == yes ]]; then
  # A disk that is full when a build begins.
  fresh
  mkdir "$STATE"
  mount -t tmpfs -o size=4m tmpfs "$STATE"
  run 0 build raw/a
  cat /dev/zero >"$STATE/filler" 2>/dev/null || true
  refused 3 "is full; free space on the disk" build "$REF" --force
  refused 3 "is full; free space on the disk" taint raw/a
  ran raw/a
  knows raw/a
  rm "$STATE/filler"
  goes_on

  # A disk that becomes full while a build runs.
  fresh
  mkdir "$STATE"
  mount -t tmpfs -o size=4m tmpfs "$STATE"
  when_made clean/b "cat /dev/zero >'$STATE/filler' 2>/dev/null || true; echo is there room for this?"
  refused 3 "is full; free space on the disk" build "$REF" --jobs=1
  nobody_left || fail "processes are left: $(left_behind)"
  knows raw/a
  rm "$STATE/filler"
  goes_on

  # A read-only file system: nothing can be built, and all reading commands work.
  fresh
  mkdir "$STATE"
  mount -t tmpfs -o size=4m tmpfs "$STATE"
  run 0 build "$REF"
  rm "$LAB/ran"
  mount -o remount,ro "$STATE"
  refused 3 "make the state directory writable, or choose another --state_dir" build raw/c
  refused 3 "make the state directory writable" build "$REF"
  refused 3 "make the state directory writable" taint raw/a
  ran
  knows "$REF"
  for command in status events builds "explain raw/a" "plan raw/c"; do
    # shellcheck disable=SC2086 # a command with its argument
    run 0 $command
  done
  mount -o remount,rw "$STATE"
  goes_on
else
  echo "state_test: without mounts of its own; full and read-only file systems are left out" >&2
fi

# A limit on the size of files, which is reached when a build begins or while it runs.
fresh
run 0 build raw/a
(ulimit -f 8 && refused 3 "events.db: disk I/O error" build "$REF")
knows raw/a
goes_on
fresh
when_made clean/b "until [[ -e '$LAB/go' ]]; do sleep 0.05; done"
# shellcheck disable=SC2016 # for the job to expand
start build "$REF" --jobs=1
soon "raw/b" made raw/b
prlimit --fsize=4096 --pid "$BUILD"
touch "$LAB/go"
ended 3
says err "events.db: disk I/O error"
nobody_left || fail "processes are left: $(left_behind)"
goes_on

# Permissions. They do not apply to root, which drops its capabilities here.
bound() {
  if [[ "$(id -u)" == 0 ]]; then
    setpriv --bounding-set=-dac_override,-dac_read_search --inh-caps=-dac_override,-dac_read_search "$@"
  else
    "$@"
  fi
}
PLAIN_GRAPH="$GRAPH"
bound_graph() {
  bound "$PLAIN_GRAPH" "$@"
}
fresh
run 0 build raw/a
chmod -R a-w "$STATE"
GRAPH=bound_graph refused 3 "make the state directory writable, or choose another --state_dir" build "$REF"
GRAPH=bound_graph knows raw/a
ran raw/a
chmod -R u+w "$STATE"
goes_on
fresh
mkdir -m 555 "$TEST_TMPDIR/locked"
STATE="$TEST_TMPDIR/locked/state" GRAPH=bound_graph refused 2 "Permission denied; choose another --state_dir" build "$REF"

# No state directory at all.
touch "$TEST_TMPDIR/file"
for state in "$TEST_TMPDIR/file" "$TEST_TMPDIR/file/state" /dev/null/state; do
  STATE="$state" refused 2 "the state directory $state cannot be created" build "$REF"
done
ran

# Every command refuses a newer schema and leaves it unchanged.
fresh
run 0 build "$REF"
rm "$LAB/ran"
version() { python3 -c 'import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).execute(f"PRAGMA user_version{sys.argv[2]}"))' "$STATE/events.db" "$1"; }
ours="$(version "" | tr -dc 0-9)"
version "= 99"
before="$(sha256sum <"$STATE/events.db")"
for command in "build $REF" "build raw/c" retry cancel\ latest "taint raw/a" status builds partitions events logs "plan $REF" \
  "explain $REF"; do
  # shellcheck disable=SC2086 # a command with its arguments
  refused 3 "its schema has version 99" $command
  says err "use a newer DataBuild"
done
ran
[[ "$(sha256sum <"$STATE/events.db")" == "$before" ]] || fail "the newer database was written to"
[[ ! -s "$STATE/events.db-wal" ]] || fail "something was written beside the newer database"
version "= $ours"
goes_on

# The same for a database of another program, and for a file that is no database.
fresh
mkdir "$STATE"
python3 -c 'import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute("CREATE TABLE mine (x)")' "$STATE/events.db"
before="$(sha256sum <"$STATE/events.db")"
refused 3 "a database of another program" build "$REF"
refused 3 "a database of another program" status
[[ "$(sha256sum <"$STATE/events.db")" == "$before" ]] || fail "the database of another program was written to"
head -c 10000 /dev/zero | tr '\0' x >"$STATE/events.db"
refused 3 "move the file away, or choose another --state_dir" build "$REF"
[[ "$(tr -d x <"$STATE/events.db" | wc -c)" == 0 ]] || fail "the file was written to"
ran
rm "$STATE/events.db"
goes_on

# While the state directory is new, commands name the state directory of the graph's former label, which can be adopted.
fresh
run 0 build "$REF"
mkdir -p .databuild/old
cp -r "$STATE" .databuild/old/graph
rm "$LAB/ran"
"$GRAPH" plan "$REF" >"$TEST_TMPDIR/out" 2>"$TEST_TMPDIR/err" || fail "there is no plan"
says err "$TEST_TMPDIR/.databuild/old/graph ("
says out "missing"
says err "partitions adopt --from=$TEST_TMPDIR/.databuild/old/graph"
"$GRAPH" partitions adopt --from=.databuild/old/graph >"$TEST_TMPDIR/out" 2>"$TEST_TMPDIR/err" || fail "nothing was taken over"
says out "took over"
"$GRAPH" build "$REF" >"$TEST_TMPDIR/out" 2>"$TEST_TMPDIR/err" || fail "the build failed"
"$GRAPH" events verify >"$TEST_TMPDIR/out" 2>&1 || fail "the event log is not sound"
ran
echo "state_test: passed"
