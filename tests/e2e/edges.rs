//! Odd arguments, outputs that take nothing, variables with garbage: one line and a status each.

use otto_e2e::Place;

/// Runs `command` under otto-serve; insists on a refusal with this status and these words, said
/// once.
fn refused(place: &Place, command: &str, status: i32, words: &str) {
    let line = place.serve(command).run().refused(status);
    assert_eq!(line.matches(words).count(), 1, "{command}: {line}");
}

#[test]
fn an_output_that_is_full_is_status_1() {
    let place = Place::new();
    for command in [
        "otto-set -g k v; otto-get k >/dev/full",
        "otto-set -g k v; otto-list >/dev/full",
        "otto-incr n >/dev/full",
        "otto-get --help >/dev/full",
        "otto-pipe create p >/dev/full",
        "echo x | otto-mmap-write --dataset d -; otto-mmap-read --dataset d >/dev/full",
        "echo x | otto-mmap-write --dataset d -; otto-mmap-read --dataset d --output /dev/full",
    ] {
        refused(&place, command, 1, "No space left on device");
    }
    let line = place.bash("otto-serve >/dev/full").run().refused(1);
    assert!(line.contains("can't write to standard output"), "{line}");
}

#[test]
fn nonsense_is_refused_by_name() {
    let place = Place::new();
    for (command, status, words) in [
        ("otto-set k @missing", 1, "No such file"),
        ("otto-set k @/", 1, "Is a directory"),
        ("otto-set k @", 2, "name of a file"),
        ("otto-set '' v", 2, "a key can't be empty"),
        ("otto-set k $'\\xff'", 2, "UTF-8"),
        ("otto-get k --wait --timeout nan", 2, "nan"),
        ("otto-get k --wait --timeout -1", 2, "-1"),
        ("OTTO_TASK_NAME=a.b otto-set k v", 2, "OTTO_TASK_NAME"),
        ("OTTO_TASK_NAME=$'\\xff' otto-set k v", 2, "OTTO_TASK_NAME"),
        ("OTTO_VIA=zip otto-get k", 2, "OTTO_VIA"),
        ("OTTO_RUN_ID=x otto-mmap-read t", 2, "OTTO_RUN_ID"),
        ("OTTO_SOCKET=/ otto-get k", 1, "no server answers at /:"),
        ("OTTO_SOCKET=/etc/passwd otto-get k", 1, "no server answers at /etc/passwd:"),
        ("OTTO_SOCKET=/nowhere otto-get k", 1, "No such file"),
        ("otto-serve --socket /nowhere/s -- true", 1, "No such file"),
        ("otto-serve --ready-fd 99 -- true", 1, "No such file"),
    ] {
        refused(&place, command, status, words);
    }
}

#[test]
fn commands_take_any_bytes_and_their_input() {
    let place = Place::new();
    let out = place
        .bash("otto-serve -- printf '%s' $'\\xff' | od -An -tx1; echo in | otto-serve -- cat")
        .run()
        .ok();
    assert_eq!(out.stdout, " ff\nin\n");
    let nested = "otto-set -g a outer; otto-serve -- bash -c 'otto-set -g a inner; otto-get a'; \
                  otto-get a";
    assert_eq!(place.serve(nested).run().ok().stdout, "inner\nouter\n");
}

#[test]
fn closed_descriptors_hang_nothing() {
    let place = Place::new();
    let script = "otto-set -g k v; otto-get k >&-; otto-get k 2>&-; otto-set -g z - <&-; \
                  otto-get k <&- >&- 2>&-; otto-get --default '' none | od -An -tx1";
    assert_eq!(place.serve(script).run().ok().stdout, "v\n 0a\n");
}

/// What its caller had it ignore, as nohup does, otto-serve ignores.
#[test]
fn nohup_holds() {
    let place = Place::new();
    let script = "nohup otto-serve >exports 2>/dev/null </dev/null & server=$!
        until grep -q OTTO_SOCKET exports; do read -rt 0.01 <> <(:) || true; done
        . ./exports; kill -HUP $server; otto-set -g k v; kill -HUP $server; otto-get k
        kill $server; wait $server";
    assert_eq!(place.bash(script).run().ok().stdout, "v\n");
}

/// A helper that waits learns at once that its server was killed.
#[test]
fn a_killed_server_ends_a_wait() {
    let place = Place::new();
    let script = "otto-serve >exports & server=$!
        until grep -q OTTO_SOCKET exports; do read -rt 0.01 <> <(:) || true; done
        . ./exports
        otto-get --wait never & waiter=$!
        until echo STATS | nc -NU \"$OTTO_SOCKET\" | grep -q '\"waiting\":1'; do :; done
        kill -9 $server; wait $waiter";
    let finished = place.bash(script).run().with_status(1);
    assert!(finished.stderr.contains("lost the server"), "{}", finished.stderr);
}
