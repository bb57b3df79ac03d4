#!/usr/bin/env bash
# send.sh FOLDER: sends every value of FOLDER as a record.
set -euo pipefail
# shellcheck source=sdk-bash/otto.sh
source "$OTTO_SH"

for file in "$1"/*.json; do
  otto_send "$(<"$file")"
done
