#!/usr/bin/env bash
# Installs Debian packages, including a Bazel from a newer Debian release if necessary: install.sh PACKAGE...
#
# Uses the mirror that apt is configured for. If it cannot install, it prints what to install manually and exits with code 2.
set -euo pipefail

readonly keyring=/usr/share/keyrings/debian-archive-keyring.gpg
log=$(mktemp)
trap 'rm -f "$log"' EXIT

give_up() {
  cat >&2 <<MESSAGE
bazelw: $1
Please install:
  - bazelisk, or Bazel 7.4 or newer, as 'bazelisk' or 'bazel' on PATH
  - Python 3.11 or newer, with venv
  - shellcheck, for the linters only
On Debian, run ./bazelw as root, or with sudo, and it installs them.
MESSAGE
  exit 2
}

quietly() {
  if ! "$@" >>"$log" 2>&1; then
    tail -n 40 "$log" >&2
    give_up "this command failed: $*"
  fi
}

apt() {
  quietly "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 "$@"
}

# Prints a line "URI CODENAME" for each main Debian archive that apt is configured for.
debian_archives() {
  # shellcheck disable=SC2016 # apt-get expands these
  apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(CODENAME)' 'Created-By: Packages' |
    awk '$2 == "Debian" && $3 !~ /-/ { print $1, $3 }' | sort -u
}

# Adds newer suites with a low priority, so that apt uses them only for packages requested with -t.
add_suites() {
  local uri=$1
  shift
  quietly "${as_root[@]}" tee /etc/apt/sources.list.d/databuild-bazel.sources <<SOURCES
# Source of Bazel for DataBuild's bazelw.
Types: deb
URIs: $uri
Suites: $*
Components: main
Signed-By: $keyring
Check-Valid-Until: no
SOURCES
  quietly "${as_root[@]}" tee /etc/apt/preferences.d/databuild-bazel <<PREFERENCES
Package: *
Pin: release n=trixie
Pin-Priority: 100

Package: *
Pin: release n=forky
Pin-Priority: 100
PREFERENCES
  apt update
}

# Prints dependencies of Bazel that an older Debian has in too old a version, which apt would not upgrade.
bazels_libraries() {
  apt-cache show bazel-bootstrap/forky | sed -n 's/^Depends: //p' | head -n 1 | tr ',' '\n' |
    sed -E 's/^ *([^ |:(]+).*/\1/' |
    grep -E '^(lib.*-java|bazel-.*|velocity|async-profiler-java|default-jdk-headless)$'
}

as_root=()
if [[ $(id -u) != 0 ]]; then
  if ! command -v sudo >/dev/null || ! { sudo -n true 2>/dev/null || [[ -t 0 ]]; }; then
    give_up 'Bazel is not installed, and installing it needs root.'
  fi
  as_root=(sudo)
fi
if ! command -v apt-get >/dev/null || [[ ! -e $keyring ]]; then
  give_up 'Bazel is not installed, and this machine does not run Debian.'
fi

echo "bazelw: installing from Debian: $* (once; a minute or so)" >&2
archives=$(debian_archives)
if [[ -z $archives ]]; then # minimal images have no package lists
  apt update
  archives=$(debian_archives)
fi
read -r uri codename <<<"$archives" || give_up "apt is not configured for a Debian archive."

from_forky=()
other=()
for package; do
  if [[ $package == bazel-* ]]; then from_forky+=("$package"); else other+=("$package"); fi
done

case $codename in
  bookworm) newer=(trixie forky) ;;
  trixie) newer=(forky) ;;
  *) newer=() ;;
esac
if [[ ${#newer[@]} != 0 && $archives != *forky* ]]; then
  add_suites "$uri" "${newer[@]}"
fi

apt install -y --no-install-recommends "${other[@]}"
if [[ $codename == bookworm ]]; then
  # Before the packages of forky: its openssl does not declare that it replaces a file of bookworm's libssl3.
  apt install -y --no-install-recommends -t trixie openssl libssl3t64 openssl-provider-legacy
fi
if [[ ${#newer[@]} != 0 ]]; then
  mapfile -t libraries < <(bazels_libraries)
  apt install -y --no-install-recommends -t forky "${from_forky[@]}" "${libraries[@]}"
else
  apt install -y --no-install-recommends "${from_forky[@]}"
fi
