#!/usr/bin/env bats
# The functions of otto.sh against real programs and a real server.

bats_require_minimum_version 1.5.0

# Runs a script under a server of its own.
served() {
  run --separate-stderr otto-serve -- bash --norc -euo pipefail -c "source \"\$OTTO_SH\"
$1" bash "${@:2}"
}

setup() {
  PATH=$OTTO_PREFIX/bin:$PATH
  unset OTTO_TASK_NAME OTTO_TASK OTTO_TASK_DIR OTTO_VIA OTTO_SOCKET OTTO_RUN_ID OTTO_RUN_DIR
  cd "$BATS_TEST_TMPDIR"
}

@test "set and get, printed and assigned" {
  served 'otto_set a.b "two words"; otto_get a.b; otto_get -v got a.b; echo "<$got>"'
  [ "$status" -eq 0 ]
  [ "$output" = "two words
<two words>" ]
}

@test "line ends at the end of a value are kept by -v" {
  served 'otto_set k $'"'x\n\n'"'; otto_get -v got k; printf "%q" "$got"'
  [ "$output" = "\$'x\\n\\n'" ]
}

@test "a missing key is status 3, and the variable keeps its value" {
  served 'got=before; status=0; otto_get -v got no.key || status=$?; echo "$status $got"'
  [ "$output" = "3 before" ]
  [ "${#stderr_lines[@]}" -eq 1 ]
}

@test "a failure ends a script under set -e, and a condition catches it" {
  served 'if otto_get no.key; then echo yes; else echo no; fi; otto_get no.key; echo not reached'
  [ "$status" -eq 3 ]
  [ "$output" = no ]
}

@test "options of the programs pass through" {
  served 'otto_set --json k "[1, 2]"; otto_get --json k; otto_get --default none x.y
          otto_get -v got --default "" x.y; echo "<$got>"
          status=0; otto_set --if-absent k 1 2>/dev/null || status=$?; echo "$status"'
  [ "$output" = "[1,2]
none
<>
5" ]
}

@test "a value of 1 MiB goes in and comes out" {
  served 'value=$(printf "é%.0s" {1..524288}); otto_set -g k "$value"
          otto_get -v got k; [[ $got == "$value" ]]; echo "${#got}"
          otto_mmap_write t k "$value"; [[ $(otto_mmap_read t k) == "$value" ]] && echo same'
  [ "$status" -eq 0 ]
  [ "${lines[1]}" = same ]
}

@test "a long value may stand wherever its program takes it" {
  served 'big=$(head -c 200000 /dev/zero | tr "\0" x)
          is() { [[ $(otto_get "$1") == "$2" ]] && echo "$3"; }
          otto_set -g a "$big" --if-absent; is a "$big" set
          otto_set -g b --if-rev 0 "$big"; otto_set -g b "\"$big$big\"" --via socket --json; is b "$big$big" json
          otto_set -g n "-${big//x/1}"; is n "-${big//x/1}" negative
          otto_set -g -- -neg "$big"; otto_set -g c -- "@$big"; is c "@$big" literal
          otto_list -- "-*"; [[ $(otto-get -- -neg) == "$big" ]] && echo dashed
          otto_append l "\"$big\"" --json; otto_append -- l "$big"; is l "[\"$big\",\"$big\"]" list
          otto_publish --json ch "\"$big\""; otto_publish ch -- "@$big"
          [[ $(otto_subscribe ch --from start --count 2 | wc -c) -gt 400000 ]] && echo published
          otto_mmap_write t k "\"$big\"" --json; otto_mmap_write -- t -k "$big"
          [[ $(otto_mmap_read t k) == "$big" && $(otto-mmap-read t -- -k) == "$big" ]] && echo mapped'
  echo "$output $stderr"
  [ "$status" -eq 0 ]
  [ "$output" = 'set
json
negative
literal
-neg
dashed
list
published
mapped' ]
}

@test "what is long and no value is refused as the program does" {
  # The one is short enough for the program itself, the other for none.
  served 'long=$(head -c 40000 /dev/zero | tr "\0" x) longer=$(head -c 200000 /dev/zero | tr "\0" x)
          try() {
            local status=0
            "$@" 2>said || status=$?
            said=$(wc -l <said) said="$status ${said// /}"
          }
          check() {
            try otto-set -g "${@//LONG/$long}"; local program=$said
            try otto_set -g "${@//LONG/$long}"; [[ $said == "$program" ]] || echo "long: $* $program $said"
          }
          check LONG x; check LONG LONG; check k @LONG; check k -LONG; check --ttl LONG k x; check k LONG x
          check --json k LONG; check --batch LONG; check k --ttl 0 LONG; check LONG; check -- LONG; check
          check --via LONG k x; check --if-rev -- LONG k
          try otto_set -g k "@$longer"; [[ $said == "1 1" && $(<said) == *"name too long"* ]] || echo "$said"
          otto_list'
  echo "$output $stderr"
  [ "$status" -eq 0 ]
  [ -z "$output" ]
}

@test "-n is taken beside -v" {
  served 'otto_set a.b $'"'x\n'"'; otto_get -v got -n a.b; printf "%q" "$got"
          otto_get -v got a.b -n; printf "%q" "$got"; otto_wait -v got -n --timeout 9 a.b; printf "%q" "$got"
          otto_get -v got --default -n no.key; printf "%s" "<$got>"; otto_get -n a.b
          otto_get -v got --default -n -n no.key; printf "%s" "<$got>"
          otto_get -v got --ttl -n a.b; printf "%s" "<$got>"
          status=0; otto_get -v got -n -n a.b 2>said || status=$?; printf " %s" "$status"'
  echo "$output $stderr"
  [ "$output" = "\$'x\\n'\$'x\\n'\$'x\\n'<-n>x
<-n><never> 2" ]
}

@test "list, incr, delete" {
  served 'otto_incr a.n >/dev/null; otto_incr a.n 41; otto_set b.m 1; otto_list; otto_delete a.n
          otto_list "a.*"; otto_list'
  [ "$output" = "42
a.n
b.m
b.m" ]
}

@test "wait ends when the value comes, and with status 4 when it does not" {
  served 'otto_wait -v got --timeout 30 a.b > out & otto_set a.b here; wait $!
          otto_wait a.b; otto_wait -v got a.b; echo "$got"
          status=0; otto_wait --timeout 0.1 no.key 2>/dev/null || status=$?; echo "$status"'
  [ "$output" = "here
here
4" ]
}

@test "subscribe gives an event a line" {
  served 'mkfifo events; otto_subscribe "a.*" --count 2 --timeout 30 >events & exec 3<events
          # Subscribed or not: write until the first event is there.
          until read -r -t 0.05 first <&3; do otto_set a.b 1; done
          otto_set a.c 2; echo "$first"'
  [ "$status" -eq 0 ]
  [[ $output == *'"event":"set"'*'"key":"a.b"'* ]]
}

@test "progress says nothing on standard output" {
  served 'otto_progress 1 2 half'
  [ "$status" -eq 0 ]
  [ -z "$output" ]
  run --separate-stderr bash -c 'source "$OTTO_PREFIX/share/otto/otto.sh"; otto_progress 1 2 half'
  [ "$status" -eq 0 ]
  [[ $stderr == *half* ]]
}

@test "records through a FIFO" {
  mkfifo pipe
  OTTO_OUTPUT_PIPE=pipe OTTO_INPUT_PIPE=pipe run bash --norc -euo pipefail -c '
    source "$OTTO_PREFIX/share/otto/otto.sh"
    exec 3<>pipe
    otto_send "{\"i\": 1}" "  two  " ""
    otto_recv -v one; otto_recv; otto_recv -v three
    echo "$one <$three>"
  '
  [ "$status" -eq 0 ]
  [ "$output" = '  two  
{"i": 1} <>' ]
}

@test "receive until the end, the last line without its newline" {
  OTTO_INPUT_PIPE=/dev/stdin run bash --norc -euo pipefail -c '
    source "$OTTO_PREFIX/share/otto/otto.sh"
    while otto_recv -v item; do echo "<$item>"; done
  ' < <(printf 'a\nb')
  [ "$output" = "<a>
<b>" ]
}

@test "without a stream, or with a line end in a record: one line that says so" {
  unset OTTO_INPUT_PIPE OTTO_OUTPUT_PIPE
  for call in 'otto_send x' 'otto_recv' 'otto_recv -v x'; do
    run --separate-stderr bash -c "source \"\$OTTO_PREFIX/share/otto/otto.sh\"; $call"
    [ "$status" -eq 3 ]
    [ "${#stderr_lines[@]}" -eq 1 ]
  done
  OTTO_OUTPUT_PIPE=/dev/null run --separate-stderr bash -c \
    'source "$OTTO_PREFIX/share/otto/otto.sh"; otto_send "a
b"'
  [ "$status" -eq 2 ]
  [ "${#stderr_lines[@]}" -eq 1 ]
}
