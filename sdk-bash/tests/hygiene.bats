#!/usr/bin/env bats
# What sourcing otto.sh may not do to the shell that sources it.

bats_require_minimum_version 1.5.0

setup() {
  otto_sh=$BATS_TEST_DIRNAME/../otto.sh
}

# Everything a shell has that a sourced file could change.
state='
  snapshot() {
    set -o; shopt; trap; alias; umask
    declare -F
    # What bash itself changes from one line to the next.
    declare -p | grep -vE "^declare [^ ]+ (_|BASH_[A-Z_]+|FUNCNAME|LINENO|PIPESTATUS|RANDOM|SRANDOM|SECONDS|EPOCH[A-Z]+|before|after)(=|$)"
  }
'

@test "sourcing adds names of otto_* and __otto_* alone" {
  run bash --norc -c "$state"'
    set -euo pipefail
    trap "echo bye" EXIT
    trap "echo failed" ERR
    IFS=,
    alias ll="ls -l"
    before=$(snapshot)
    source "$1"
    after=$(snapshot)
    diff <(printf "%s\n" "$before") <(printf "%s\n" "$after") | grep "^[<>]" |
      grep -vE "^> declare -f (__)?otto_[a-z_]+$" || true
  ' - "$otto_sh"
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$output" = bye ]
}

@test "no variable is added" {
  run bash --norc -c '
    before=$(compgen -v | sort)
    source "$1"
    diff <(printf "%s\n" "$before" before _ BASH_LINENO BASH_SOURCE FUNCNAME PIPESTATUS | sort -u) \
      <(compgen -v | cat - <(printf "%s\n" before _ BASH_LINENO BASH_SOURCE FUNCNAME PIPESTATUS) | sort -u)
  ' - "$otto_sh"
  echo "$output"
  [ "$status" -eq 0 ]
}

@test "sourcing twice is the same as once" {
  run bash --norc -c '
    set -euo pipefail
    source "$1"; once=$(declare -f); source "$1"; [ "$once" = "$(declare -f)" ]
  ' - "$otto_sh"
  [ "$status" -eq 0 ]
  [ -z "$output" ]
}

@test "sourced under aliases and functions of the same names as what it uses" {
  mkdir "$BATS_TEST_TMPDIR/bin"
  printf '#!/bin/sh\necho "real $*"\n' >"$BATS_TEST_TMPDIR/bin/otto-set"
  chmod +x "$BATS_TEST_TMPDIR/bin/otto-set"
  run env PATH="$BATS_TEST_TMPDIR/bin:$PATH" bash --norc -c '
    shopt -s expand_aliases
    otto-set() { echo function; }
    printf() { echo function; }
    alias printf="echo alias" local="echo alias" return="echo alias" shift="echo alias"
    alias otto-set="echo alias" command="echo alias" builtin="echo alias" read="echo alias" set="echo alias"
    source "$1"
    otto_set a b
  ' - "$otto_sh"
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$output" = "real a b" ]
}

@test "the functions work whatever IFS and options the caller has" {
  mkdir "$BATS_TEST_TMPDIR/bin"
  printf '#!/bin/sh\nfor a; do echo "<$a>"; done\n' >"$BATS_TEST_TMPDIR/bin/otto-set"
  printf '#!/bin/sh\nprintf "two words\\n\\n"\n' >"$BATS_TEST_TMPDIR/bin/otto-get"
  chmod +x "$BATS_TEST_TMPDIR/bin/"*
  run env PATH="$BATS_TEST_TMPDIR/bin:$PATH" bash --norc -c '
    set -euCfo pipefail; shopt -s nocasematch nullglob failglob
    IFS="o"
    source "$1"
    otto_set -- "k o" "a * b"
    otto_get -v got any
    [[ $IFS == "o" ]]
    printf "[%s]" "$got"
  ' - "$otto_sh"
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$output" = "<-->
<k o>
<a * b>
[two words

]" ]
}

@test "another shell is refused with one line" {
  for shell in dash busybox\ sh zsh ksh; do
    command -v "${shell%% *}" >/dev/null || continue
    # shellcheck disable=SC2086
    run --separate-stderr $shell -c '. "$1"; echo "status $?"' - "$otto_sh"
    echo "$shell: $output $stderr"
    [ "$output" = "status 1" ] || [ -z "$output" ]
    [ "${#stderr_lines[@]}" -eq 1 ]
    [[ $stderr == *"bash 3.2 or newer"* ]]
  done
}

@test "-v refuses what is not a variable's name" {
  for name in '' 'a b' '9a' 'a[$(touch '"$BATS_TEST_TMPDIR"'/x)]' __otto_text; do
    run --separate-stderr bash --norc -c 'source "$1"; otto_get -v "$2" k' - "$otto_sh" "$name"
    [ "$status" -eq 2 ]
    [ -z "$output" ]
    [ "${#stderr_lines[@]}" -eq 1 ]
  done
  [ ! -e "$BATS_TEST_TMPDIR/x" ]
}

@test "a long value goes through standard input, options and all" {
  mkdir "$BATS_TEST_TMPDIR/bin"
  printf '#!/bin/sh\necho "$*"; md5sum\n' >"$BATS_TEST_TMPDIR/bin/otto-set"
  chmod +x "$BATS_TEST_TMPDIR/bin/otto-set"
  run env PATH="$BATS_TEST_TMPDIR/bin:$PATH" bash --norc -c '
    set -euo pipefail
    source "$1"
    value=$(head -c 200000 /dev/zero | tr "\0" x)$'"'\n\n'"'
    printf "%s" "$value" | md5sum
    otto_set -g --json -- "a key" "$value"
  ' - "$otto_sh"
  echo "$output"
  [ "$status" -eq 0 ]
  [ "${lines[1]}" = "-g --json -- a key -" ]
  [ "${lines[0]}" = "${lines[2]}" ]
}

@test "a long value goes its way whatever IFS and options the caller has, and leaves nothing behind" {
  mkdir "$BATS_TEST_TMPDIR/bin"
  printf '#!/bin/sh\nfor a; do echo "<$a>"; done; wc -c\n' >"$BATS_TEST_TMPDIR/bin/otto-set"
  chmod +x "$BATS_TEST_TMPDIR/bin/"*
  for mode in +o -o; do
    run env PATH="$BATS_TEST_TMPDIR/bin:$PATH" bash --norc "$mode" posix -c '
      set -euCfo pipefail; shopt -s nocasematch nullglob failglob extglob
      IFS="1-2/ "
      source "$1"
      value=$(printf "%040000d" 0)
      before=$(compgen -v | grep -v BASH_)
      otto_set --ttl "1 2" -- "k o" "$value"
      [[ $before == "$(compgen -v | grep -vE "BASH_|before")" ]]
      [[ $IFS == "1-2/ " ]]
    ' - "$otto_sh"
    echo "$output"
    [ "$status" -eq 0 ]
    [ "${lines[*]}" = "<--ttl> <1 2> <--> <k o> <-> 40000" ]
  done
}
