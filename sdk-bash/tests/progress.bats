#!/usr/bin/env bats
# otto_progress: a line into the run's FIFO where that is plainly right, else the program.

bats_require_minimum_version 1.5.0

setup() {
  unset OTTO_TASK_NAME OTTO_TASK
  cd "$BATS_TEST_TMPDIR"
  # A run whose owner is this very shell, and a program that says what it was given.
  export OTTO_RUN_DIR=$PWD/run OTTO_RUN_ID=$$ OTTO_SOCKET=$PWD/run/otto.sock
  mkdir run bin
  mkfifo run/progress
  exec 7<>run/progress
  printf '#!/bin/sh\necho "program: $*"\n' >bin/otto-progress
  chmod +x bin/otto-progress
}

# Runs a script with the program above, and shows what came through the FIFO.
scripted() {
  run --separate-stderr env PATH="$PWD/bin:$PATH" bash --norc -euo pipefail -c \
    "source \"$BATS_TEST_DIRNAME/../otto.sh\"
$1"
  : >arrived
  local line
  echo end >&7
  while IFS= read -r line <&7 && [ "$line" != end ]; do printf '%s\n' "$line" >>arrived; done
  arrived=$(cat -A arrived)
}

@test "every form of a plain update is a line of five fields" {
  scripted 'export OTTO_TASK=build
    otto_progress 1 2; otto_progress 1 - "so far"; otto_progress 3 4 five --id one
    otto_progress --id two 3 4 five; otto_progress 5 6 --id ""; OTTO_TASK_NAME=test
    otto_progress 007 8'
  [ "$status" -eq 0 ]
  [ -z "$output$stderr" ]
  [ "$arrived" = 'build^I^I1^I2^I$
build^I^I1^I-^Iso far$
build^Ione^I3^I4^Ifive$
build^Itwo^I3^I4^Ifive$
build^I^I5^I6^I$
test^I^I007^I8^I$' ]
}

@test "a message stays one line" {
  scripted 'otto_progress 1 2 $'"'a\tb\nc'"'; otto_progress 1 2 "* [x] \\n %s"'
  [ "$arrived" = '^I^I1^I2^Ia b c$
^I^I1^I2^I* [x] \n %s$' ]
}

@test "what is not plainly right takes the program, which checks it" {
  scripted 'otto_progress x 2; otto_progress 1; otto_progress; otto_progress 1 2 -m
    otto_progress -1 2; otto_progress 1.5 2; otto_progress 1 2 a b; otto_progress 1 2 a --id
    otto_progress "" 2; otto_progress 1 ""; otto_progress 1 2 --id=x; otto_progress - 2
    otto_progress 1 2 a b c d; otto_progress --id x 1; otto_progress 1 2 a --id x$'"'\t'"
  [ "$status" -eq 0 ]
  [ -z "$arrived" ]
  [ "$output" = 'program: x 2
program: 1
program: 
program: 1 2 -m
program: -1 2
program: 1.5 2
program: 1 2 a b
program: 1 2 a --id
program:  2
program: 1 
program: 1 2 --id=x
program: - 2
program: 1 2 a b c d
program: --id x 1
program: 1 2 a --id x'$'\t' ]
}

@test "bad arguments have the program's message and status" {
  run --separate-stderr bash --norc -c "source '$BATS_TEST_DIRNAME/../otto.sh'
    PATH=$OTTO_PREFIX/bin:\$PATH; otto_progress 1 two"
  [ "$status" -eq 2 ]
  [ "$stderr" = 'otto-progress: TOTAL must be a number, 0 or more, not "two"' ]
}

@test "what bash might not write at once takes the program" {
  for locale in C C.UTF-8; do
    LC_ALL=$locale scripted 'message=$(printf "é%.0s" {1..300})
      otto_progress 1 2 "$message" >/dev/null; otto_progress 1 2 "${message:0:100}"
      otto_progress 1 2 a --id "$message"'
    [ "$(wc -l <arrived)" -eq 1 ]
    [ "${#lines[@]}" -eq 1 ]
  done
}

@test "without a FIFO, or with nobody who reads it, the program is asked" {
  scripted 'OTTO_RUN_ID= otto_progress 1 2
    OTTO_RUN_ID=999999999 otto_progress 2 2
    OTTO_RUN_DIR=$PWD otto_progress 3 2
    OTTO_SOCKET=/elsewhere/otto.sock otto_progress 4 2
    unset OTTO_SOCKET; otto_progress 5 2; unset OTTO_RUN_DIR OTTO_RUN_ID; otto_progress 6 2
    export OTTO_RUN_DIR=$PWD/other OTTO_SOCKET=$PWD/other/s OTTO_RUN_ID=$$
    mkdir other; : >other/progress; otto_progress 7 2'
  [ "$status" -eq 0 ]
  [ -z "$arrived" ]
  [ "$output" = "$(printf 'program: %d 2\n' 1 2 3 4 5 6 7)" ]
  [ ! -s other/progress ]
}

@test "it works whatever IFS and options the caller has" {
  scripted 'set -Cf; shopt -s nocasematch nullglob failglob; IFS="t 1"
    trap "echo failed" ERR; set -E
    otto_progress 10 12 "a t 1"; [[ $IFS == "t 1" ]]'
  [ -z "$output$stderr" ]
  [ "$arrived" = '^I^I10^I12^Ia t 1$' ]
}

@test "many writers at once: every line whole, none lost" {
  cat <&7 >all &
  reader=$!
  message=$(printf 'm%.0s' {1..190})
  run --separate-stderr env PATH="$PWD/bin:$PATH" MESSAGE="$message" bash --norc -euo pipefail -c \
    "source '$BATS_TEST_DIRNAME/../otto.sh'"'
    for writer in 1 2 3 4; do
      for ((i = 1; i <= 500; i++)); do otto_progress "$i" 500 "$MESSAGE" --id "$writer"; done &
    done
    wait'
  [ "$status" -eq 0 ]
  [ -z "$output$stderr" ]
  echo end >&7
  until grep -q end all; do :; done
  kill "$reader"
  [ "$(grep -c "^.[1-4].[0-9]*.500.$message\$" all)" -eq 2000 ]
  [ "$(grep -c '.500.500.' all)" -eq 4 ]
}
