%shebang%
# Starts %target%. Bazel's own launcher is in Python and starts the interpreter twice; this one starts it once.
set -eu

# Paths relative to the runfiles root. Bazel writes a file of another repository as WORKSPACE/../REPOSITORY/FILE.
main='%main%'
main=${main#%workspace_name%/../}
python='%python_binary%'
python=${python#%workspace_name%/../}

absolute() {
  case $1 in /*) absolute=$1 ;; *) absolute=$PWD/$1 ;; esac
}

# Sets $runfiles to the runfiles directory of the program $0.
find_runfiles() {
  absolute "$0"
  self=$absolute
  while ! [ -d "$self.runfiles" ]; do
    case $self in *.runfiles/*)
      runfiles=${self%.runfiles/*}.runfiles
      return
      ;;
    esac
    if ! [ -L "$self" ]; then
      echo "$0: no runfiles directory beside the program" >&2
      exit 1
    fi
    target=$(readlink "$self")
    case $target in /*) self=$target ;; *) self=${self%/*}/$target ;; esac
  done
  runfiles=$self.runfiles
}

# The parent process may have set RUNFILES_DIR for its own runfiles. Use them only if they have the main file.
runfiles=${RUNFILES_DIR:-}
if [ -z "$runfiles" ]; then
  case ${RUNFILES_MANIFEST_FILE:-} in
    *.runfiles_manifest) runfiles=${RUNFILES_MANIFEST_FILE%_manifest} ;;
    *.runfiles/MANIFEST) runfiles=${RUNFILES_MANIFEST_FILE%/MANIFEST} ;;
  esac
fi
if [ -n "$runfiles" ] && [ -e "$runfiles/$main" ]; then
  absolute "$runfiles"
  runfiles=$absolute
else
  unset RUNFILES_MANIFEST_FILE
  find_runfiles
fi

path=
add_to_path() {
  case :$path: in *:"$1":*) ;; *) path=${path:+$path:}$1 ;; esac
}

imports='%imports%'
IFS=:
for import in $imports; do
  add_to_path "$runfiles/$import"
done
unset IFS
if [ '%import_all%' = True ]; then
  for repository in "$runfiles"/*/; do
    repository=${repository%/}
    case :$imports: in
      *:"${repository##*/}"/*/site-packages:*) ;; # installed packages, which are on the path already
      *) [ -e "$repository/pyvenv.cfg" ] || add_to_path "$repository" ;;
    esac
  done
else
  add_to_path "$runfiles/%workspace_name%"
fi

export RUNFILES_DIR="$runfiles"
# start.py removes it from the environment.
export STARTUP_IMPORT_PATH="$path"

# Do not import from the directory of the main file, where modules could hide those of the standard library. As with rules_python,
# an empty value set by the user enables it.
export PYTHONSAFEPATH="${PYTHONSAFEPATH-1}"
exec "$runfiles/$python" "$runfiles/${python%/bin/python3}/start.py" "$runfiles/$main" "$@"
