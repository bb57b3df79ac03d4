#!/usr/bin/env bats
# otto_send and otto_recv: every record as it is, and every kind of end told apart.

bats_require_minimum_version 1.5.0

setup() {
  unset OTTO_INPUT_PIPE OTTO_OUTPUT_PIPE OTTO_TASK_NAME OTTO_TASK OTTO_TASK_DIR OTTO_RUN_DIR
  export OTTO_RUN_DIR=$BATS_TEST_TMPDIR
  cd "$BATS_TEST_TMPDIR"
}

# Runs a script with otto.sh in a bash of its own.
scripted() {
  run --separate-stderr bash --norc -euo pipefail -c "source \"\$OTTO_PREFIX/share/otto/otto.sh\"
$1" bash "${@:2}"
}

# receive DATA [PRODUCER]: what a loop gets from a stream that ends after DATA.
receive() {
  printf '%b' "$1" >data
  if [ $# -eq 2 ]; then printf '%s\n' "$2" >c.input.pipe.failed; fi
  # As otto-run lays it: a path that leads to a pipe of another process.
  sleep 60 < <(cat data) &
  sleeper=$!
  ln -s "/proc/$sleeper/fd/0" c.input.pipe
  OTTO_INPUT_PIPE=$PWD/c.input.pipe scripted '
    while otto_recv -v item || { end=$?; false; }; do printf "<%s>" "$item"; done
    echo " $end"'
  kill "$sleeper"
}

@test "records keep blanks, backslashes and emptiness" {
  receive '  two  words \\t\n\n\ttab\n*\n$HOME "q"\n\r\nlast'
  [ "$output" = '<  two  words \t><>'$'<\ttab>''<*><$HOME "q">'$'<\r>''<last> 1' ]
  [ -z "$stderr" ]
  [ -e c.input.pipe.checked ]
}

@test "a failed producer is no end: status 6 and a line that names it" {
  receive '1\n2\n' fetch
  [ "$output" = '<1><2> 6' ]
  [ "$stderr" = 'otto_recv: the producer fetch failed: its stream broke off' ]
}

@test "a line that the failed producer did not complete is no record" {
  receive '1\n{"half' fetch
  [ "$output" = '<1> 6' ]
}

@test "nothing at all, cleanly and not" {
  receive ''
  [ "$output" = ' 1' ]
  rm c.input.pipe
  receive '' fetch
  [ "$output" = ' 6' ]
}

@test "a failed producer ends a script under set -e" {
  printf 'fetch\n' >c.input.pipe.failed
  OTTO_INPUT_PIPE=$PWD/c.input.pipe run --separate-stderr bash --norc -euo pipefail -c '
    source "$OTTO_PREFIX/share/otto/otto.sh"
    set -C
    ln -s /dev/null c.input.pipe
    otto_recv -v item
    echo not reached'
  [ "$status" -eq 6 ]
  [ -z "$output" ]
}

@test "that it asks is noted before it reads, and in the folder of the run alone" {
  mkdir run
  printf '1\n' >elsewhere
  OTTO_RUN_DIR=$PWD/run OTTO_INPUT_PIPE=$PWD/elsewhere scripted 'otto_recv'
  [ "$output" = 1 ]
  ls
  [ ! -e elsewhere.checked ]
  [ -z "$(ls run)" ]
  unset OTTO_RUN_DIR
  OTTO_INPUT_PIPE=$PWD/elsewhere scripted 'otto_recv'
  [ "$output" = 1 ]
  [ ! -e elsewhere.checked ]
}

@test "a record of 1 MiB" {
  mkfifo pipe
  OTTO_OUTPUT_PIPE=$PWD/pipe OTTO_INPUT_PIPE=$PWD/pipe scripted '
    record=$(head -c 1048576 /dev/zero | tr "\0" x)
    otto_send "$record" & otto_recv -v got; wait $!
    [[ $got == "$record" ]] && echo same'
  [ "$output" = same ]
}

# Sends into a pipe whose reader has gone, until that is noticed.
send_to_nobody='
  exec 4> >(:); wait $!
  OTTO_OUTPUT_PIPE=/proc/$$/fd/4'

@test "all readers gone, SIGPIPE ignored: one line, status 1, nothing left over" {
  scripted "trap '' PIPE; $send_to_nobody"'
    status=0; otto_send lost || status=$?
    printf "status %s\n" "$status"; otto_send lost again; echo not reached'
  [ "$status" -eq 1 ]
  [ "$output" = 'status 1' ]
  [ "${#stderr_lines[@]}" -eq 2 ]
  [[ ${stderr_lines[0]} == *': all readers have gone' ]]
}

@test "all readers gone, SIGPIPE as usual: the script ends as any writer does" {
  scripted "$send_to_nobody"'
    otto_send lost; echo not reached'
  [ "$status" -eq 141 ]
  [ -z "$output" ]
  [ -z "$stderr" ]
}

@test "a stream that is gone is status 3, and no file is made of it" {
  OTTO_OUTPUT_PIPE=$PWD/gone scripted 'otto_send lost'
  [ "$status" -eq 3 ]
  [ "${#stderr_lines[@]}" -eq 1 ]
  [ ! -e gone ]
}

@test "a stream that cannot be written is one line and status 1" {
  OTTO_OUTPUT_PIPE=/dev/full scripted 'otto_send lost'
  [ "$status" -eq 1 ]
  [ "$stderr" = 'otto_send: /dev/full: could not be written' ]
}
