#!/usr/bin/env bash
# Ordinary use of redis-cli on the socket $1: the same lines come from our server and from Redis.
set -euo pipefail

cli() { redis-cli -s "$socket" "$@"; }
socket=$1

cli ping
cli echo 'two words'
cli set build.version 1.2.3
cli get build.version
cli --raw get build.version
cli get build.none
cli set build.version 2.0.0 nx
cli set build.version 2.0.0 xx get
cli append build.version -rc1
cli strlen build.version
cli mset a 1 b 2 c 3
cli mget a b none c
cli incr a
cli incrby a 40
cli decr b
cli incrbyfloat c 0.14
cli incr build.version || true
printf 'line one\nline two\n' | cli -x set text
cli --raw get text
printf '\377\000\376' | cli -x set binary
cli --no-raw get binary
cli --no-raw strlen binary

cli rpush queue one two three
cli lpush queue zero
cli lrange queue 0 -1
cli --csv lrange queue 1 2
cli lindex queue -1
cli llen queue
cli lpop queue 2
cli blpop queue none 1
cli type queue
cli get queue || true
cli rpush a x || true

cli expire a 100
cli persist a
cli ttl a
cli set short lived ex 1000
cli exists a b none a
cli rename a renamed
cli keys 're*'
cli --scan --pattern 'bu*'
cli dbsize
cli nonsense 1 2 || true
cli get || true

# Several commands of one connection, a transaction among them.
cli <<'END'
client setname shell
client getname
multi
incr counter
set counter text xx
incr counter
exec
multi
get a b
exec
discard
select 0
select 1
subscribe_not x
config get save
END

# Many at once, as redis-cli takes them for mass insertion.
for n in 1 2 3 4 5; do
  # shellcheck disable=SC2016 # `$3` is the length of SET
  printf '*3\r\n$3\r\nSET\r\n$2\r\nk%d\r\n$2\r\nv%d\r\n' "$n" "$n"
done | cli --pipe | grep -v '^All data\|^Last reply'
cli mget k1 k5

# What is published reaches who listens; the first line says how to stop listening.
coproc listener { timeout 20 redis-cli -s "$socket" --csv subscribe news; }
# shellcheck disable=SC2154 # coproc sets it
listening=$listener_PID
read -r -u "${listener[0]}" line
read -r -u "${listener[0]}" line
echo "$line"
cli publish news 'first "words"'
read -r -u "${listener[0]}" line
echo "$line"
kill "$listening"
wait "$listening" 2>/dev/null || true

cli flushall
cli dbsize
