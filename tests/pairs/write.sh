#!/usr/bin/env bash
# write.sh FOLDER: stores every value of FOLDER.
set -euo pipefail
# shellcheck source=sdk-bash/otto.sh
source "$OTTO_SH"

for file in "$1"/*.json; do
  key=pair.$(basename "$file" .json)
  if [ -e "${file%.json}.txt" ]; then
    IFS= read -r -d '' text <"${file%.json}.txt" || true
    otto_set -- "$key" "$text"
  else
    otto_set --json "$key" "@$file"
  fi
done
