#!/usr/bin/env bash
# unpack-module.sh PYTHON WHEEL TO: the package `otto` of the wheel, as TO/otto.
set -euo pipefail

python=$1 wheel=$2 to=$3
rm -rf "$to/otto" "$to.unpacked"
"$python" -m zipfile -e "$wheel" "$to.unpacked"
mkdir -p "$to"
mv "$to.unpacked/otto" "$to/otto"
rm -rf "$to.unpacked"
# Compiled here, since most who import it may not write there. Hashes, not times, tie the
# two: installing gives new times.
"$python" -m compileall -q --invalidation-mode unchecked-hash "$to/otto"
# Readable by every user the prefix is shared with, whatever the umask here.
chmod -R u=rwX,go=rX "$to/otto"
