#!/usr/bin/env bash
# need.sh PYTHON WHAT...: sees to it that system programs are there.
# WHAT is a command's name, or `venv` for Python's module. What is missing is
# installed with apt-get when that is possible, else named with the command.
set -euo pipefail

python=$1
shift

# Is it there? Not every nc knows Unix sockets, so that one is asked.
have() {
  case $1 in
    venv) "$python" -c 'import ensurepip, venv' 2>/dev/null ;;
    nc) nc -h 2>&1 | grep -q -- '-[[:alnum:]]*U' ;;
    *) command -v "$1" >/dev/null ;;
  esac
}

package() {
  case $1 in
    venv) "$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])' ;;
    nc) echo netcat-openbsd ;;
    cc) echo gcc ;;
    setpriv) echo util-linux ;;
    script) echo bsdutils ;;
    redis-cli | redis-benchmark) echo redis-tools ;;
    node) echo nodejs ;;
    pee) echo moreutils ;;
    *) echo "$1" ;;
  esac
}

missing=()
for what in "$@"; do
  have "$what" || missing+=("$(package "$what")")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
  echo "installing with apt-get: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null >/dev/null
else
  echo "missing: ${missing[*]}. Install with: sudo apt-get install -y ${missing[*]}" >&2
  exit 1
fi
for what in "$@"; do
  have "$what" || {
    echo "$what is still missing after installing $(package "$what")" >&2
    exit 1
  }
done
