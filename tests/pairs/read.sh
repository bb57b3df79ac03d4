#!/usr/bin/env bash
# read.sh FOLDER OUT: reads every value of FOLDER into OUT.
set -euo pipefail
# shellcheck source=sdk-bash/otto.sh
source "$OTTO_SH"

for file in "$1"/*.json; do
  name=$(basename "$file" .json)
  otto_get --json "pair.$name" >"$2/$name.json"
  if [ -e "${file%.json}.txt" ]; then
    otto_get -v text "pair.$name"
    # shellcheck disable=SC2154
    printf '%s' "$text" >"$2/$name.txt"
  fi
done
