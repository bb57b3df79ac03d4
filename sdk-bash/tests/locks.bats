#!/usr/bin/env bats
# otto_lock: commands of this shell under a lock, which ends with them.

bats_require_minimum_version 1.5.0

setup() {
  cd "$BATS_TEST_TMPDIR"
  mkdir bin
  # Holds nothing, but shows who asked for what, runs it or ends as the holder does.
  cat >bin/otto-lock <<'END'
#!/bin/bash
printf '<%s>' "$@" >>asked
[[ " $* " != *" late "* ]] || { echo 'otto-lock: timeout: late' >&2; exit 4; }
if [[ " $* " != *" --hold "* ]]; then
  while [ $# -gt 0 ] && [ "$1" != -- ]; do shift; done
  [ $# -gt 1 ] || exit 0
  OTTO_LOCK_TOKEN=7$(($(wc -l <holders) + 1)) exec "${@:2}"
fi
sleep 60 >/dev/null 2>&1 &
echo "$!" >>holders
echo "7$(wc -l <holders) $!"
END
  chmod +x bin/otto-lock
  : >holders
}

teardown() {
  # Whatever a failing test has left.
  while read -r pid; do kill "$pid" 2>/dev/null || true; done <holders
}

scripted() {
  run --separate-stderr env PATH="$PWD/bin:$PATH" bash --norc -euo pipefail -c \
    "source \"$BATS_TEST_DIRNAME/../otto.sh\"
$1"
}

# Fails if anybody still holds; one that nobody has waited for yet does not.
all_released() {
  while read -r pid; do
    if [ -e "/proc/$pid" ] && ! grep -q '^State:.Z' "/proc/$pid/status"; then return 1; fi
  done <holders
}

@test "a function runs in this shell, with the token, and its status comes back" {
  scripted 'work() { seen="$# $1 <$2> $OTTO_LOCK_TOKEN $(printenv OTTO_LOCK_TOKEN)"; return 5; }
    otto_lock db -n 2 --timeout 3 -- work "a  b" "" || echo "status $?"
    echo "$seen ${OTTO_LOCK_TOKEN-unset}"; cat asked; echo " $$"'
  [ "$status" -eq 0 ]
  [ "${lines[0]}" = 'status 5' ]
  [ "${lines[1]}" = '2 a  b <> 71 71 unset' ]
  [[ ${lines[2]} =~ ^'<db><-n><2><--timeout><3><--hold><'([0-9]+)'> '([0-9]+)$ ]]
  [ "${BASH_REMATCH[1]}" = "${BASH_REMATCH[2]}" ]
  all_released
}

@test "builtins and programs are commands as well, and return is no way out" {
  scripted 'otto_lock a -- read -r word <<<"from here"; echo "$word"
    otto_lock a -- printf "%s|" x y; otto_lock a -- sh -c "echo \$OTTO_LOCK_TOKEN"
    status=0; otto_lock a -- return 3 || status=$?; echo "$status"
    otto_lock a -- : -- --hold; otto_lock a -- eval "later=1"; echo "$later"'
  [ "$output" = 'from here
x|y|73
3
1' ]
  all_released
}

@test "set -e goes on within the function, and ends script and lock" {
  scripted 'work() { echo before; false; echo after; }
    trap "echo bye" EXIT
    otto_lock a -- work
    echo not reached'
  [ "$status" -eq 1 ]
  [ "$output" = 'before
bye' ]
}

@test "a lock that was lost while the function ran is told of, and the status stays" {
  scripted 'lost() {
      local holder=$(tail -1 holders)
      kill "$holder"; while grep -qs "^State:.[^ZX]" "/proc/$holder/status"; do :; done; return "${1-0}"
    }
    trap "echo failed" ERR; IFS="o "
    otto_lock -n 2 "my lock" --timeout 9 -- lost 5 || echo "status $?"
    otto_lock --timeout=9 "my lock" -- :; otto_lock --slots 3 b -- lost'
  echo "$output $stderr"
  [ "$status" -eq 0 ]
  [ "$output" = 'status 5' ]
  [ "${#stderr_lines[@]}" -eq 2 ]
  [[ ${stderr_lines[0]} == 'otto_lock: the lock my lock '* ]]
  [[ ${stderr_lines[1]} == 'otto_lock: the lock b '* ]]
}

@test "in a condition it is a condition" {
  scripted 'if otto_lock a -- false; then echo yes; else echo no; fi
    otto_lock a -- true && echo yes; ! otto_lock a -- false'
  [ "$status" -eq 0 ]
  [ "$output" = 'no
yes' ]
  all_released
}

@test "locks within locks each have their own token" {
  scripted 'inner() { echo "$OTTO_LOCK_TOKEN"; }
    outer() { echo "$OTTO_LOCK_TOKEN"; otto_lock b -- inner; echo "$OTTO_LOCK_TOKEN"; }
    otto_lock a -- outer'
  [ "$output" = '71
72
71' ]
  all_released
}

@test "a lock not had in time is status 4, and nothing runs" {
  scripted 'status=0; otto_lock late -- echo ran || status=$?; echo "$status"; otto_lock late -- :'
  [ "$status" -eq 4 ]
  [ "$output" = 4 ]
  [ "${#stderr_lines[@]}" -eq 2 ]
}

@test "without a command it is otto-lock itself, and after -- there must be one" {
  scripted 'otto_lock --who; otto_lock; otto_lock db; cat asked; otto_lock db --'
  [ "$status" -eq 2 ]
  [ "$output" = '<--who><><db>' ]
  [ "$stderr" = 'otto_lock: no command after --: usage: otto_lock NAME -- COMMAND' ]
}

@test "a subshell holds for itself" {
  scripted '(otto_lock a -- :; echo "$BASHPID" >subshell); [[ $(<asked) == *"<$(<subshell)>" ]]
    got=$(otto_lock b -- echo captured); echo "$got"'
  [ "$status" -eq 0 ]
  [ "$output" = captured ]
  all_released
}

@test "a status keeps its digits whatever IFS splits at, and the lock is given back" {
  scripted 'fail() { return 13; }; IFS=0123; otto_lock db -- fail || got=$?; unset IFS; echo "status $got"'
  echo "$output $stderr"
  [ "$output" = 'status 13' ]
  [ -z "$stderr" ]
  all_released
}

@test "traps, options, IFS and the caller's names stay as they are" {
  scripted 'set -CfE; shopt -s nocasematch nullglob failglob; IFS="1 d-"
    trap "echo failed" ERR; trap ":" TERM
    before=$(set -o; shopt; trap; declare -F; compgen -v | grep -v BASH_)
    otto_lock "d b" -- eval "got=\$OTTO_LOCK_TOKEN"
    [[ $before == "$(set -o; shopt; trap; declare -F; compgen -v | grep -vE "BASH_|got|before")" ]]
    printf "%s" "$got"; printf " %s" "$(<asked)"'
  echo "$output"
  [ "$status" -eq 0 ]
  [ -z "$stderr" ]
  [[ $output == '71 <d b><--hold><'[0-9]*'>' ]]
}
