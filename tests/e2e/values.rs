//! Batches, lists, values that expire, and what otto-serve saves.

use nix::sys::signal::Signal;
use otto_core::socket::{Client, Operation};
use otto_core::{Json, Key};
use otto_e2e::{DEADLINE, Place, Server, wait_for};
use std::fs;
use std::path::Path;
use std::slice;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

#[test]
fn a_batch_is_carried_out_whole_or_not_at_all() {
    let place = Place::new();
    let good = "otto-set -g n 40; otto-set -g gone x
        printf '%s\\n' '{\"key\":\"n\",\"incr\":2}' '' '{\"key\":\"gone\",\"delete\":true}' \
          ' { \"key\" : \"v\" , \"value\" : [1.10, \"ä\"] } ' '{\"key\":\"l\",\"append\":1}' \
          '{\"key\":\"l\",\"append\":2}' '{\"key\":\"t\",\"value\":1,\"ttl\":60}' >batch
        otto-set -g --batch batch; for k in n v l; do otto-get $k; done; otto-list; otto-get t --ttl";
    let out = place.serve(good).run().ok().stdout;
    let (values, ttl) = out.trim_end().rsplit_once('\n').expect("lines");
    assert_eq!(values, "42\n[1.10,\"ä\"]\n[1,2]\nl\nn\nt\nv");
    assert!(ttl.parse::<f64>().is_ok_and(|left| 50.0 < left && left <= 60.0), "{ttl}");
    for (last, status, word) in [
        ("{\"key\":\"b\",\"value\":1,\"if_rev\":99}", 5, "b"),
        ("{\"key\":\"a\",\"value\":1,\"if_absent\":true}", 5, "a"),
        ("{\"key\":\"text\",\"incr\":1}", 1, "line 3 of the batch: text"),
        ("{\"key\":\"text\",\"append\":1}", 1, "line 3 of the batch: text"),
        ("\n\n{\"key\":\"text\",\"append\":1}", 1, "line 5 of the batch: text"),
        ("{\"key\":\"b\",\"value\":1,\"incr\":1}", 2, "line 3"),
        ("{\"key\":\"b c\",\"value\":1}", 2, "line 3"),
        ("{\"key\":\"b\",\"value\":}", 2, "line 3"),
        ("not json", 2, "line 3"),
    ] {
        let script = format!(
            "otto-set -g text word
             printf '%s\\n' '{{\"key\":\"a\",\"value\":1}}' '{{\"key\":\"text\",\"delete\":true}}' '{last}' \
               | {{ otto-set -g --batch - && exit 99 || echo $?; }}; otto-list; otto-get text"
        );
        let finished =
            place.serve(&script.replace("delete\":true", "value\":\"other\"")).run().ok();
        assert_eq!(finished.stdout, format!("{status}\ntext\nword\n"), "{last}");
        assert_eq!(finished.stderr.lines().count(), 1, "{last}: {}", finished.stderr);
        assert!(finished.stderr.contains(word), "{last}: {}", finished.stderr);
    }
}

#[test]
fn keys_of_a_batch_are_the_tasks_own() {
    let place = Place::new();
    let script = "export OTTO_TASK_NAME=t; echo '{\"key\":\"own\",\"value\":1}' | otto-set --batch
        echo '{\"key\":\"u.other\",\"value\":1}' | otto-set --batch -g; otto-list";
    assert_eq!(place.serve(script).run().ok().stdout, "t.own\nu.other\n");
}

/// Whoever waits for the revision, too, waits on where the key has gone again.
#[test]
fn a_key_that_comes_and_goes_is_waited_for() {
    let place = Place::new();
    let server = Server::start(&place);
    let socket = server.socket();
    let key = Key::parse("k").expect("a key");
    let (set, delete) = (Operation::set(&key, &Json::number(1)), Operation::delete(&key));
    let meanwhile = |steps: &[&[Operation]], command: &str| {
        let (over, began) = (AtomicBool::new(false), Instant::now());
        std::thread::scope(|threads| {
            threads.spawn(|| {
                let mut client = Client::connect(Path::new(&socket)).expect("a server");
                while !over.load(Ordering::Relaxed) && began.elapsed() < DEADLINE * 2 {
                    for step in steps {
                        let _ = client.batch(step).expect("carried out");
                    }
                }
            });
            let finished = server.client(command).run();
            over.store(true, Ordering::Relaxed);
            finished
        })
    };
    let command = "for i in {1..50}; do otto-get --wait --rev k --timeout 50 | cut -f2; done";
    let found = meanwhile(&[slice::from_ref(&set), slice::from_ref(&delete)], command).ok();
    assert_eq!(found.stdout, "1\n".repeat(50));
    // It is there, but never when somebody looks.
    let never = "exec otto-get --wait --rev k --timeout 0.3";
    let line = meanwhile(&[&[set, delete]], never).refused(4);
    assert!(line.contains("timeout: k"), "{line}");
    server.stop();
}

#[test]
fn lists_grow_over_every_transport() {
    let place = Place::new();
    for via in ["socket", "mmap", "files"] {
        let script = format!(
            "export OTTO_VIA={via} OTTO_TASK_DIR=$PWD/{via}; mkdir {via}
             for i in 1 2 3 4; do for j in 1 2 3 4 5; do otto-set t.l --append $i; done & done; wait
             otto-set t.l --append --json '{{\"last\": 1.10}}'
             otto-get t.l; otto-set t.text x; otto-set t.text --append y"
        );
        let finished = place.serve(&script).run();
        let out = finished.stdout.clone();
        let line = finished.refused(1);
        assert!(line.contains("t.text") && line.contains("no list"), "{via}: {line}");
        assert!(out.ends_with(",{\"last\":1.10}]\n"), "{via}: {out}");
        for number in ["\"1\"", "\"2\"", "\"3\"", "\"4\""] {
            assert_eq!(out.matches(number).count(), 5, "{via}: {out}");
        }
    }
}

#[test]
fn what_only_the_socket_has_is_refused_elsewhere() {
    let place = Place::new();
    for command in ["otto-set --ttl 5 t.k v", "otto-set --batch /dev/null", "otto-get --ttl t.k"] {
        for via in ["mmap", "files"] {
            let script = format!("export OTTO_VIA={via} OTTO_TASK_DIR=$PWD; exec {command}");
            let line = place.serve(&script).run().refused(2);
            assert!(line.contains("socket"), "{line}");
        }
    }
}

#[test]
fn values_expire() {
    let place = Place::new();
    let script = "otto-set -g k v --ttl 0.3; otto-get k; otto-subscribe k --count 1 --timeout 20
        otto-get k --default gone; otto-get k --ttl || echo $?
        otto-set -g k v --ttl 0.2 --if-absent; otto-set -g k stays --if-rev $(otto-get --rev k | cut -f1)
        otto-get k --ttl; otto-set -g k x --ttl 5 --if-absent || echo $?; otto-get absent --ttl --default none";
    let finished = place.serve(script).run().ok();
    let out = finished.stdout.replace("\"seq\":2", "\"seq\":N");
    let gone = "{\"seq\":N,\"event\":\"delete\",\"key\":\"k\",\"expired\":true}";
    assert_eq!(out, format!("v\n{gone}\ngone\n3\nnever\n5\nnone\n"), "{}", finished.stderr);
}

#[test]
fn what_was_saved_is_there_the_next_time() {
    let place = Place::new();
    let serve = |script: &str| {
        let both = ["--load", "state", "--save", "state", "--", "bash", "-euc", script];
        place.job("otto-serve").args(both)
    };
    let values =
        "otto-set -g --json n 1.10; otto-set -g text $'two\\nlines'; otto-set -g --append l x
        otto-set -g t v --ttl 1000; otto-set -g t2 v --ttl 0.3; otto-get --rev n; exit 3";
    let first = serve(values).run().with_status(3).stdout;
    let again =
        "otto-get --rev n; otto-get text; otto-set -g --append l y; otto-get l; otto-get t --ttl
        until [ $(otto-get t2 --default gone) = gone ]; do :; done; echo gone";
    let out = serve(again).run().ok().stdout;
    assert!(out.starts_with(&format!("{first}two\nlines\n[\"x\",\"y\"]\n9")), "{out}");
    assert!(out.ends_with("\ngone\n"), "{out}");
    assert_eq!(place.bash("ls -A; stat -c %a state").run().ok().stdout, "home\nstate\n600\n");
}

#[test]
fn saving_on_demand_and_at_the_end() {
    let place = Place::new();
    let script = "otto-set -g a 1; kill -USR1 $OTTO_RUN_ID; until grep -q '\"a\"' state; do :; done
        otto-set -g b 1; kill -USR1 $OTTO_RUN_ID; until grep -q '\"b\"' state; do :; done; kill -KILL $OTTO_RUN_ID";
    let job = place.job("otto-serve").args(["--save", "state", "--", "bash", "-euc", script]);
    let _ = job.run().with_status(128 + 9);
    assert!(place.read("state").contains("\"b\""));
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let name = format!("state{}", signal as i32);
        let mut alone = place.job("otto-serve").args(["--save", &name]).start();
        let mut exports = String::new();
        while !exports.contains("OTTO_SOCKET=") {
            exports += &(alone.line() + "\n");
        }
        let set = format!("{exports}otto-set -g k v; kill -USR1 $OTTO_RUN_ID");
        let _ = place.bash(&set).run().ok();
        wait_for("it is saved", || place.read(&name).contains("\"k\"").then_some(()));
        let _ = place.bash(&format!("{exports}otto-set -g last v")).run().ok();
        alone.signal(signal);
        let _ = alone.finish().ok();
        assert!(place.read(&name).contains("\"last\""), "{signal}");
    }
    // A command that is ended by the signal passed on.
    let script = "otto-set -g k v; echo up; exec sleep 1000";
    let job = place.job("otto-serve").args(["--save", "passed", "--", "bash", "-euc", script]);
    let mut passed = job.start();
    assert_eq!(passed.line(), "up");
    passed.signal(Signal::SIGTERM);
    let _ = passed.finish().with_status(128 + 15);
    assert!(place.read("passed").contains("\"k\""));
}

#[test]
fn what_is_no_save_is_neither_loaded_nor_replaced() {
    let place = Place::new();
    let whole = "{\"otto-store\":1,\"seq\":1,\"keys\":{\n\"a\":{\"rev\":1,\"value\":1}\n}}\n";
    for (name, text) in [
        ("notes", "precious\n"),
        ("other.json", "{\"a\":1}"),
        ("cut", &whole[..whole.len() - 9]),
        ("future", "{\"otto-store\":2,\"keys\":{}}"),
    ] {
        let path = place.write(name, text);
        for options in [&["--load", name][..], &["--load", name, "--save", name], &["--save", name]]
        {
            if name == "future" && options == ["--save", name] {
                continue;
            }
            let line =
                place.job("otto-serve").args(options).args(["--", "touch", "ran"]).run().refused(1);
            assert!(line.contains(name), "{line}");
            assert_eq!(fs::read_to_string(&path).expect("there"), text);
        }
    }
    for option in ["--load", "--save"] {
        let line =
            place.job("otto-serve").args([option, "", "--", "touch", "ran"]).run().refused(2);
        assert!(line.contains(option), "{line}");
    }
    let _ = place.bash("mkfifo fifo").run().ok();
    for (options, word) in [
        (&["--load", "missing"][..], "missing"),
        (&["--save", "no/folder"], "no/folder"),
        (&["--save", "/dev/null"], "/dev/null"),
        (&["--save", "."], "plain file"),
        (&["--save", "fifo"], "plain file"),
    ] {
        let line =
            place.job("otto-serve").args(options).args(["--", "touch", "ran"]).run().refused(1);
        assert!(line.contains(word), "{line}");
    }
    assert!(!place.path().join("ran").exists());
}

/// What can't be saved in the end is a failure, but not that of a command that has failed itself.
#[test]
fn a_save_that_fails_is_told() {
    let place = Place::new();
    let run = |script: &str| {
        place.folder("in");
        place.job("otto-serve").args(["--save", "in/state", "--", "bash", "-c", script]).run()
    };
    assert!(run("rm -r in").refused(1).contains("in/state"));
    let _ = run("rm -r in; exit 5").refused(5);
}
