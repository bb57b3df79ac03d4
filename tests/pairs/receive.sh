#!/usr/bin/env bash
# receive.sh OUT: receives records into OUT.
set -euo pipefail
# shellcheck source=sdk-bash/otto.sh
source "$OTTO_SH"

number=0
while otto_recv -v record; do
  # shellcheck disable=SC2154
  printf '%s' "$record" >"$(printf '%s/%02d.json' "$1" "$number")"
  number=$((number + 1))
done
