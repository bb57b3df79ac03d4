#!/usr/bin/env bash
# install-tree.sh FROM TO: puts the tree FROM at TO, file by file, each replaced
# whole: a program that runs meanwhile goes on with the old one.
set -euo pipefail

from=$1 to=$2
(cd "$from" && find . -type f -print0) | while IFS= read -r -d '' file; do
  mode=644
  [ ! -x "$from/$file" ] || mode=755
  cmp -s "$from/$file" "$to/$file" || install -D -m "$mode" "$from/$file" "$to/$file"
done
