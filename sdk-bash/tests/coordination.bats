#!/usr/bin/env bats
# Locks, barriers, lists, channels and cancellation from bash, against a real server.

bats_require_minimum_version 1.5.0

# Runs a script under a server of its own.
served() {
  run --separate-stderr timeout -k 5 60 otto-serve -- bash --norc -euo pipefail -c "source \"\$OTTO_SH\"
$1" bash "${@:2}"
}

setup() {
  PATH=$OTTO_PREFIX/bin:$PATH
  unset OTTO_TASK_NAME OTTO_TASK OTTO_TASK_DIR OTTO_VIA OTTO_SOCKET OTTO_RUN_ID OTTO_RUN_DIR
  cd "$BATS_TEST_TMPDIR"
}

@test "elements are appended under the full key, and long ones too" {
  served 'export OTTO_TASK_NAME=build
    otto_append log one; otto_append --json log "{\"two\": 2}"; otto_get log
    long=$(printf "x%.0s" {1..200000}); otto_append log "$long"
    otto_get log | wc -c'
  echo "$output $stderr"
  [ "$status" -eq 0 ]
  [ "${lines[0]}" = '["one",{"two":2}]' ]
  [ "${lines[1]}" -gt 200000 ]
}

@test "what is published is heard, from the start on" {
  served 'otto_set a 1; otto_publish --json news "[1, 2]"; otto_publish news two
    otto_subscribe "*" --from start --count 1; otto_delete a
    otto_subscribe a --from start --count 2 --timeout 20'
  echo "$output $stderr"
  [ "$status" -eq 0 ]
  [[ ${lines[0]} == *'"event":"set","key":"a","value":1'* || ${lines[0]} == *'"value":"1"'* ]]
  [[ ${lines[2]} == *'"event":"delete","key":"a"'* ]]
}

@test "a function of the shell holds the lock, alone" {
  served 'add() { otto_get -v sum --default 0 sum; otto_set sum "$((sum + 1))"; }
    for worker in 1 2 3 4; do
      for turn in {1..10}; do otto_lock db -- add; done &
    done
    wait
    otto_get sum; otto_lock --who'
  echo "$stderr"
  [ "$status" -eq 0 ]
  [ "$output" = 40 ]
}

@test "the lock is held while the command runs and free when otto_lock returns" {
  served 'show() { otto_lock --who | grep -c "^db"; [[ $OTTO_LOCK_TOKEN -gt 0 ]]; }
    for turn in {1..20}; do otto_lock db --timeout 0 -- otto_lock --who >/dev/null; done
    otto_lock db -- show
    status=0; otto_lock db -- eval "otto_lock db --timeout 0.05 -- echo nested" 2>/dev/null || status=$?
    echo "$status"; otto_lock --who'
  echo "$output $stderr"
  [ "$status" -eq 0 ]
  [ "$output" = "1
4" ]
}

@test "a killed script, and one that set -e ends, free it" {
  served 'mkfifo ready never
    bash --norc -c "source \"\$OTTO_SH\"; stay() { echo >ready; read -r <never; }; otto_lock db -- stay" &
    read -r <ready
    kill -KILL $!; wait $! 2>/dev/null || true
    otto_lock db --timeout 20 -- echo free
    bash --norc -euc "source \"\$OTTO_SH\"; fails() { false; echo on; }; otto_lock db -- fails" || echo "status $?"
    otto_lock db --timeout 20 -- echo free again' </dev/zero
  echo "$output $stderr"
  [ "$status" -eq 0 ]
  [ "$output" = 'free
status 1
free again' ]
}

@test "Ctrl-C of a script that goes on after it does not end the holder" {
  served 'work() { kill -INT -- -$$ || kill -INT $$; otto_lock --who; }
    set -m; trap "echo interrupted" INT
    otto_lock db -- work; otto_lock --who'
  echo "$output $stderr"
  [ "$status" -eq 0 ]
  [[ $output == *interrupted* && $output == *db* ]]
}

@test "all go on once all have come" {
  served 'otto_barrier ready 3 & otto_barrier ready 3 &
    otto_barrier ready 3 --timeout 30; wait
    status=0; otto_barrier ready 2 --timeout 0.05 2>/dev/null || status=$?; echo "$status"'
  echo "$output $stderr"
  [ "$status" -eq 0 ]
  [ "$output" = 4 ]
}

@test "a subscriber hears of a cancellation" {
  served 'otto_cancel build; otto_subscribe build --from start --count 1 --timeout 20'
  echo "$stderr"
  [ "$status" -eq 0 ]
  [[ $output == *'"event":"cancel","key":"build"'* ]]
}

@test "progress of a loop reaches the server without a process, the last of it too" {
  served 'export OTTO_TASK_NAME=build
    PATH= ; for ((i = 1; i <= 3000; i++)); do otto_progress "$i" 3000 "item $i"; done
    otto_progress 7 - "a	b" --id bytes
    PATH=$1; [[ -p $OTTO_RUN_DIR/progress ]]
    until [[ $(echo STATS | nc -N -U "$OTTO_SOCKET") == *"item 3000"* ]]; do :; done
    echo STATS | nc -N -U "$OTTO_SOCKET"' "$PATH"
  [ "$status" -eq 0 ]
  [[ $output == *'"id":"bytes","current":7,"total":null,"message":"a b"'* ]]
  [[ $output == *'"current":3000,"total":3000'* ]]
}

@test "a program that Ctrl-C ends at a prompt gives its lock back" {
  run --separate-stderr env -u OTTO_SOCKET otto-serve -- setsid -w script -qec 'bash --norc -i' /dev/null <<'END'
source "$OTTO_SH"
otto_lock db -- bash -c 'kill -INT 0; exec sleep 60'
otto_lock db --timeout 20 -- printf 'again %s\n' "had it"
exit
END
  [[ $output == *"again had it"* ]]
}
