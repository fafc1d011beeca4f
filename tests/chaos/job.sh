#!/bin/sh
# The job of the chaos tests' graph. raw/N and pair/N (two in one run) have no inputs, clean/N needs raw/N, and sum/N needs
# two of clean and a pair. It appends a line to a file for each step: `start`, `work`, `end` or `missing`, the fencing
# token, the job run, and the refs.
#
# $CHAOS_FOLDER is the folder of its notes and its data, and $CHAOS_PACE the duration of half of the work in seconds. If
# $CHAOS_REPORTS is set, it reports the locations of its data and the inputs that are missing, as `lost`.
set -eu

# Prints the configuration of one partition; nothing for the second partition of a pair.
config() {
  kind="${1%%/*}" number="${1#*/}"
  outputs="$1" inputs=''
  case "$kind" in
    pair) outputs="pair/$((number / 2 * 2)) pair/$((number / 2 * 2 + 1))" ;;
    clean) inputs="raw/$number" ;;
    sum) inputs="clean/$number clean/$((number + 1)) pair/$number" ;;
  esac
  case "$said" in
    *"|$outputs|"*) return ;;
  esac
  said="$said|$outputs|"
  # Assigned, so that the job ends and prints nothing if a subshell is killed.
  made=$(refs '{"str": "%s"}' "$outputs")
  needed=$(refs '{"dep_type_code": "MATERIALIZE", "partition_ref": {"str": "%s"}}' "$inputs")
  args=$(refs '"%s"' "$outputs of $inputs")
  printf '%s{"outputs": [%s], "inputs": [%s], "args": [%s]}' "$separator" "$made" "$needed" "$args"
  separator=', '
}

# Writes words as a list: each in the given form.
refs() {
  comma=''
  for word in $2; do
    # shellcheck disable=SC2059 # the form is the format
    printf "$comma$1" "$word"
    comma=', '
  done
}

note() {
  echo "$1 $DATABUILD_FENCING_TOKEN $DATABUILD_JOB_RUN_ID $outputs" >>"$CHAOS_FOLDER/notes"
}

file_of() {
  echo "$CHAOS_FOLDER/data.${1%%/*}.${1#*/}"
}

command="$1"
shift
if [ "$command" = config ]; then
  said='' separator=''
  printf '{"configs": ['
  for ref in "$@"; do
    config "$ref"
  done
  printf ']}\n'
  exit
fi

outputs=''
while [ "$1" != of ]; do
  outputs="$outputs $1"
  shift
done
shift
outputs="${outputs# }"
note start
for input in "$@"; do
  # Assigned, so that the job ends if the subshell is killed. As an argument, it would be an empty path, which is missing.
  file=$(file_of "$input")
  if [ ! -e "$file" ]; then
    if [ -n "${CHAOS_REPORTS:-}" ]; then
      note lost
      echo "{\"missing\": {\"ref\": \"$input\"}}" >>"$DATABUILD_REPORT"
      exit 8
    fi
    note missing
    exit 8
  fi
done
sleep "$CHAOS_PACE"
note work
sleep "$CHAOS_PACE"
for output in $outputs; do
  file=$(file_of "$output")
  echo "$DATABUILD_JOB_RUN_ID" >"$file.$$"
  facts=$(stat -c '%s %.9Y %i' "$file.$$")
  mv "$file.$$" "$file"
  if [ -n "${CHAOS_REPORTS:-}" ]; then
    size="${facts%% *}" facts="${facts#* }"
    seconds="${facts%% *}" inode="${facts#* }"
    version="${seconds%.*}${seconds#*.}.$inode"
    location="{\"uri\": \"file://$file\", \"size_bytes\": $size, \"version\": \"$version\"}"
    echo "{\"partition\": {\"ref\": \"$output\", \"location\": $location}}" >>"$DATABUILD_REPORT"
  fi
done
note end
