#!/usr/bin/env bash
# increment.sh KEY N: adds 1, N times.
set -euo pipefail
# shellcheck source=sdk-bash/otto.sh
source "$OTTO_SH"

for ((i = 0; i < $2; i++)); do
  otto_incr "$1" >/dev/null
done
