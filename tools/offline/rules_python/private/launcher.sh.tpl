%shebang%
# Starts %target% with a single start of the interpreter, where Bazel's own launcher, itself in Python, costs two.
set -eu

# A file's path under the runfiles folder; Bazel writes that of another repository's as WORKSPACE/../REPOSITORY/FILE.
main='%main%'
main=${main#%workspace_name%/../}
python='%python_binary%'
python=${python#%workspace_name%/../}

absolute() {
  case $1 in /*) absolute=$1 ;; *) absolute=$PWD/$1 ;; esac
}

# Sets $runfiles to the folder that belongs to the program $0.
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
      echo "$0: found no runfiles folder beside it" >&2
      exit 1
    fi
    target=$(readlink "$self")
    case $target in /*) self=$target ;; *) self=${self%/*}/$target ;; esac
  done
  runfiles=$self.runfiles
}

# Whoever started this may have said where the runfiles are; it means us only if our main file is there.
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
      *:"${repository##*/}"/*/site-packages:*) ;; # of installed packages, each of which is on the path
      *) [ -e "$repository/pyvenv.cfg" ] || add_to_path "$repository" ;;
    esac
  done
else
  add_to_path "$runfiles/%workspace_name%"
fi

export RUNFILES_DIR="$runfiles"
# start.py takes it out of the environment again.
export STARTUP_IMPORT_PATH="$path"

# The folder of the main file is no place to import from; it would hide the standard library's modules. As rules_python's launcher
# does, this leaves an empty value alone, by which the user wants that folder.
export PYTHONSAFEPATH="${PYTHONSAFEPATH-1}"
exec "$runfiles/$python" "$runfiles/${python%/bin/python3}/start.py" "$runfiles/$main" "$@"
