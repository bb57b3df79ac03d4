//! Datasets from the command line: bytes in, the same bytes out, whatever they come from and go to.

use otto_e2e::{Place, traces_of};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

#[test]
fn what_goes_in_comes_out() {
    let place = Place::new();
    let script = "for size in 0 1 4095 4096 4097 3000000; do
            head -c $size /dev/urandom > in
            otto-mmap-write --dataset a in
            otto-mmap-write --dataset b < in
            cat in | otto-mmap-write --dataset c
            otto-mmap-write --dataset d <(cat in)
            for name in a b c d; do
                otto-mmap-read --dataset $name > out; cmp in out
                otto-mmap-read --dataset $name | cmp in -
                otto-mmap-read --dataset $name --output out2; cmp in out2
                echo before > log; otto-mmap-read --dataset $name >> log
                { echo before; cat in; } | cmp - log
                cmp in /dev/shm/otto-$OTTO_RUN_ID.ds-$name
            done
        done
        # What is left of a file that somebody has begun to read; a file of /proc; one without end.
        { read -r -n 5 _; otto-mmap-write --dataset rest; } < <(echo 12345rest)
        { head -c 5 > /dev/null; otto-mmap-write --dataset rest; } < <(printf '%-5s' 12345; echo rest)
        otto-mmap-read --dataset rest
        otto-mmap-write --dataset version /proc/version; otto-mmap-read --dataset version | cmp - /proc/version
        head -c 3000000 in | otto-mmap-write --dataset big
        otto-mmap-read --dataset big | head -c 1 | wc -c
        echo longer than the dataset > out; otto-mmap-write --dataset s <<< short
        otto-mmap-read --dataset s --output out; cat out
        otto-mmap-read --dataset s > /dev/null; otto-mmap-read --dataset s --output /dev/null";
    let finished = place.serve(script).run().ok();
    assert_eq!(finished.stdout, "rest\n1\nshort\n");
    assert_eq!(
        finished.stderr, "",
        "a reader that has gone, or no terminal, is nothing to tell of"
    );
}

#[test]
fn what_can_t_be_done_is_one_line() {
    let place = Place::new();
    let one = "seq 3 | otto-mmap-write --dataset d; exec ";
    let own = "/dev/shm/otto-$OTTO_RUN_ID.ds-d";
    for (command, status, mentions) in [
        ("otto-mmap-write --dataset e /nonexistent", 1, "/nonexistent"),
        ("otto-mmap-write --dataset e < /", 2, "folder"),
        ("otto-mmap-read --dataset d --output /nonexistent/f", 1, "/nonexistent/f"),
        ("otto-mmap-read --dataset d --output /", 1, "/"),
        ("otto-mmap-read --dataset d --output /dev/full", 1, "/dev/full"),
        ("otto-mmap-read --dataset d > /dev/full", 1, "standard output"),
        (&format!("otto-mmap-read --dataset d --output {own}"), 2, "the dataset itself"),
        (
            "bash -c 'otto-mmap-write t k v; seq 5 | otto-mmap-write --dataset e
            otto-mmap-read --dataset d --output /dev/shm/otto-$OTTO_RUN_ID-t'",
            2,
            "a region",
        ),
    ] {
        let line = place.serve(&format!("{one}{command}")).run().refused(status);
        assert!(line.contains(mentions), "{command}: {line}");
    }
    // Somebody writes to the file after all.
    let spoilt =
        format!("{one} bash -c 'chmod u+w {own}; echo more >> {own}; otto-mmap-read --dataset d'");
    let line = place.serve(&spoilt).run().refused(1);
    assert!(line.contains("changed since it was published"), "{line}");
    if otto_e2e::root() {
        // Whoever is not root is kept from it by the file's mode.
        let place = Place::ordinary();
        let stray = format!(
            "seq 3 | otto-mmap-write --dataset d; true 2> /dev/null > {own} || echo kept; otto-mmap-read --dataset d"
        );
        assert_eq!(place.serve(&stray).run().ok().stdout, "kept\n1\n2\n3\n");
    }
}

#[test]
fn a_wrong_command_line_is_wrong_outside_a_run_too() {
    let place = Place::new();
    for (command, mentions) in [
        ("otto-mmap-write", "TASK KEY VALUE"),
        ("otto-mmap-write task key", "TASK KEY VALUE"),
        ("otto-mmap-write --remove", "removed"),
        ("otto-mmap-write --dataset ../d", "../d"),
        ("otto-mmap-read a.b", "a.b"),
        ("otto-mmap-read --dataset d --json", "--json"),
    ] {
        let mut words = command.split(' ');
        let line = place.job(words.next().unwrap()).args(words).run().refused(2);
        assert!(line.contains(mentions), "{command}: {line}");
    }
}

/// A task may publish a dataset under its own name.
#[test]
fn both_regions_of_a_name_are_told_of() {
    let place = Place::new();
    let script = "otto-mmap-write build v 1; otto-mmap-read --stat build | jq -c .kind
        seq 3 | otto-mmap-write --dataset build; otto-mmap-read --stat build | jq -c '[.kind, .bytes]'
        otto-mmap-read --dataset build --output - | wc -c; test ! -e ./-
        otto-mmap-write --remove build; otto-mmap-read --stat build | jq -c .kind";
    let wanted = "\"document\"\n[\"dataset\",6]\n[\"document\",9]\n6\n\"dataset\"\n";
    assert_eq!(place.serve(script).run().ok().stdout, wanted);
}

#[test]
fn lists_and_removal() {
    let place = Place::new();
    let script = "otto-mmap-write build v 1; seq 3 | otto-mmap-write --dataset d
        list() { otto-mmap-read --list | grep -P \"^$OTTO_RUN_ID\\t\" | cut -f 2- | tr '\\t' ' '; }
        list; env -i PATH=\"$PATH\" otto-mmap-read --list --json | jq -c \".[] | select(.run == $OTTO_RUN_ID) | del(.run)\"
        OTTO_RUN_ID=1 otto-mmap-write task k v; otto-mmap-read --list | grep -P '^1\\t' | cut -f 2,5
        OTTO_RUN_ID=1 otto-mmap-write --remove task
        otto-mmap-write --remove build; otto-mmap-write --remove --dataset d; list; echo none
        source \"$OTTO_SH\"; otto_mmap_write --dataset e --spill <<< bytes; otto_mmap_read --dataset e
        otto_mmap_write --remove --dataset e; list";
    let wanted = "build document 9 alive\nd dataset 6 alive\n\
        {\"name\":\"build\",\"kind\":\"document\",\"bytes\":9,\"on_disk\":false,\"owner\":\"alive\"}\n\
        {\"name\":\"d\",\"kind\":\"dataset\",\"bytes\":6,\"on_disk\":false,\"owner\":\"alive\"}\n\
        task\tunknown\nnone\nbytes\n";
    let script = script.replace("; list; echo none", "; list || true; echo none") + " || true";
    assert_eq!(place.serve(&script).run().ok().stdout, wanted);
}

#[test]
fn waiting_for_a_document_s_key() {
    let place = Place::new();
    let script = "otto-mmap-read t value --wait --timeout 30 > got & otto-mmap-write t other 1
        otto-mmap-write t value 'it came'; wait $!; cat got
        otto-mmap-read t value --wait --json";
    assert_eq!(place.serve(script).run().ok().stdout, "it came\n\"it came\"\n");
    let finished = place.serve("exec otto-mmap-read t never --wait --timeout 0.5").run();
    assert!(Duration::from_millis(450) < finished.took && finished.took < Duration::from_secs(4));
    let line = finished.refused(4);
    assert!(line.contains("t.never"), "{line}");
}

/// Interrupted as any program is: nothing is published, and nothing is left.
#[test]
fn an_interrupted_publisher_publishes_nothing() {
    let place = Place::new();
    let script = "mkfifo pipe; echo $OTTO_RUN_ID; seq 3 | otto-mmap-write --dataset d
        set -m; otto-mmap-write --dataset d pipe & exec 9> pipe; seq 100000 >&9
        kill -INT $!; wait $! && echo done || echo $?; otto-mmap-read --stat d; ls -A /dev/shm | grep -c $OTTO_RUN_ID";
    let finished = place.serve(script).run().ok();
    let lines: Vec<&str> = finished.stdout.lines().collect();
    assert_eq!(lines[1], "130");
    assert!(lines[2].contains("\"bytes\":6,\"generation\":1"), "{}", lines[2]);
    // The owner's lock, the dataset and its label.
    assert_eq!(lines[3], "3");
    assert_eq!(traces_of(lines[0]), Vec::<PathBuf>::new());
}

/// `script` where shared memory has 2 MiB; `None`, with a printed reason, where the system does not
/// let us make such a place.
fn with_little_memory(place: &Place, script: &str) -> Option<otto_e2e::Finished> {
    let mounts =
        "mount -t tmpfs -o size=2m none /dev/shm && mount -t tmpfs -o size=64m none /var/tmp";
    let namespace = ["--user", "--map-root-user", "--mount", "bash", "-euo", "pipefail", "-c"];
    let probe = Command::new("unshare").args(namespace).arg(mounts).stderr(Stdio::null()).status();
    if !probe.is_ok_and(|status| status.success()) {
        eprintln!("skipped: this system allows no mounts in a user namespace (unshare)");
        return None;
    }
    let script = format!("{mounts}; exec otto-serve -- bash -euo pipefail -c '{script}'");
    Some(place.job("unshare").args(namespace).arg(script).run())
}

#[test]
fn a_full_memory_spills_if_it_may() {
    let place = Place::new();
    let script = "head -c 3000000 /dev/urandom > in; cp in before
        otto-mmap-write --dataset d /etc/hosts
        tell() { echo $?; wc -l < error; cat error; }
        otto-mmap-write --dataset d in 2> error || tell
        cat in | otto-mmap-write --dataset d 2> error || tell
        otto-mmap-read --dataset d | cmp - /etc/hosts
        otto-mmap-write --dataset d in --spill; otto-mmap-read --dataset d | cmp - in
        cat in | otto-mmap-write --dataset d --spill; otto-mmap-read --dataset d | cmp - in
        otto-mmap-read --stat d | jq -c \"[.bytes, .generation, .on_disk]\"
        cmp in $(otto-mmap-read --stat d | jq -r .path); find /var/tmp -type f | wc -l
        otto-mmap-read --list | cut -f 2-
        otto-mmap-write --remove --dataset d; find /var/tmp -type f
        otto-mmap-write --dataset d in --spill
        (trap \"\" TERM; otto-mmap-write task key value)";
    let Some(finished) = with_little_memory(&place, script) else { return };
    let finished = finished.ok();
    let lines: Vec<&str> = finished.stdout.lines().collect();
    for (at, needs) in [(0, "needs 3000000 bytes, "), (3, "needs at least ")] {
        assert_eq!(lines[at..at + 2], ["1", "1"]);
        let line = lines[at + 2];
        assert!(line.starts_with("otto-mmap-write: ") && line.contains(needs), "{line}");
        assert!(line.contains("bytes free") && line.contains("--spill"), "{line}");
    }
    assert_eq!(lines[6..], ["[3000000,3,true]", "2", "d\tdataset\t3000000\talive"]);
}

/// What Python publishes from wherever it lies, and fills in place.
const SPILLS: &str = r#"
import array, errno, io, numpy, os, otto, pathlib, pyarrow

given = array.array("d", range(400_000))
table = pyarrow.table({"a": numpy.arange(400_000)})
pathlib.Path("given").write_bytes(given)
pipes = [os.popen("cat given")._stream.buffer for _ in range(2)]
ways = {
    "array": lambda **spill: otto.put_dataset("d", given, **spill),
    "scattered": lambda **spill: otto.put_dataset("d", memoryview(given)[::-1][::-1], **spill),
    "table": lambda **spill: otto.put_dataset("d", table, **spill),
    "path": lambda **spill: otto.put_dataset("d", pathlib.Path("given"), **spill),
    "pipe": lambda **spill: otto.put_dataset("d", pipes.pop(), **spill),
    "in memory": lambda **spill: otto.put_dataset("d", io.BytesIO(given), **spill),
    "in place": lambda **spill: fill(otto.create_dataset("d", "f8", 400_000, **spill)),
}

def fill(writer):
    with writer as cells:
        cells[:] = given

for name, way in ways.items():
    otto.put_dataset("d", b"old")
    try:
        way()
    except otto.SystemRefused as error:
        assert error.errno == errno.ENOSPC and "spill=True" in str(error), error
    else:
        raise AssertionError(name)
    assert bytes(otto.get_dataset("d")) == b"old", name
    way(spill=True)
    dataset = otto.open_dataset("d")
    assert dataset.on_disk and dataset.generation == 2, name
    if name == "table":
        assert dataset.arrow().equals(table)
    else:
        numbers = numpy.frombuffer(dataset, "f8")
        otto.remove_dataset("d")
        assert (numbers == given).all(), name
        continue
    otto.remove_dataset("d")
print(len(ways), otto.list_datasets())
"#;

#[test]
fn python_spills_if_it_may() {
    let place = Place::new();
    place.write("spills.py", SPILLS);
    let script = "python3 spills.py; find /var/tmp -type f";
    let Some(finished) = with_little_memory(&place, script) else { return };
    assert_eq!(finished.ok().stdout, "7 []\n");
}

/// However memory is full, the line tells what is missing, and what was there stays.
#[test]
fn documents_in_a_full_memory_tell_what_is_missing() {
    let place = Place::new();
    let script = "otto-mmap-write t k before; head -c 1100000 /dev/zero | tr \"\\0\" x > large
        otto-mmap-write t k @large 2>&1 || otto-mmap-read t k
        cat /dev/zero > /dev/shm/full 2> /dev/null || true
        otto-mmap-write new k v 2>&1 || otto-mmap-read --stat t | jq .bytes
        otto-mmap-write --remove t; rm /dev/shm/full
        mount -o remount,nr_inodes=4 /dev/shm; touch /dev/shm/a /dev/shm/b 2> /dev/null || true
        otto-mmap-write new k v 2>&1 || otto-mmap-write --dataset new large 2>&1 || ls -A /dev/shm | wc -l";
    let Some(finished) = with_little_memory(&place, script) else { return };
    let finished = finished.ok();
    let lines: Vec<&str> = finished.stdout.lines().collect();
    // For the journal and for the public file, beyond what these have.
    for (at, needed) in [(0, 2_199_552), (2, 8192)] {
        let needed = format!("it needs {needed} bytes, /dev/shm has ");
        assert!(lines[at].contains(&needed) && lines[at].contains("bytes free"), "{}", lines[at]);
    }
    assert_eq!((lines[1], lines[3]), ("before", "14"));
    for line in &lines[4..6] {
        assert!(line.contains("/dev/shm takes no more files"), "{line}");
    }
    assert_eq!(lines[6..], ["3"]);
}

/// What ends up on disk vanishes with a run that is killed, at the next start.
#[test]
fn a_killed_run_leaves_nothing_on_disk() {
    let place = Place::new();
    let script = "head -c 3000000 /dev/urandom > in
        otto-serve -- bash -c \"otto-mmap-write --dataset d in --spill; kill -9 \\$PPID\" || true
        find /var/tmp -name \"d.*\" | wc -l; otto-mmap-read --list | cut -f 2-
        otto-serve -- find /var/tmp -name \"d.*\"; otto-mmap-read --list | cut -f 2-";
    let Some(finished) = with_little_memory(&place, script) else { return };
    let finished = finished.with_status(0);
    assert_eq!(finished.stdout, "1\nd\tdataset\t3000000\tdead\n");
}

/// On a terminal a copy that takes its time shows a line about it, and takes that line away again.
#[test]
fn a_long_copy_shows_a_line_on_a_terminal() {
    let place = Place::new();
    // A producer that is done after a second: longer than anybody's patience.
    place.write("slow", "otto-mmap-write --dataset d < <(head -c 2000000 /dev/zero; sleep 1)\n");
    place.write("quick", "seq 9 | otto-mmap-write --dataset d\n");
    place.write("no-terminal", "source ./slow 2> errors; cat errors\n");
    for (script, shown) in [("slow", true), ("quick", false), ("no-terminal", false)] {
        let command = format!("otto-serve -- bash -euo pipefail ./{script}");
        let finished = place
            .job("script")
            .args(["--quiet", "--return", "--command", &command, "/dev/null"])
            .env("TERM", "xterm-256color")
            .run()
            .ok();
        assert_eq!(finished.stdout.contains("d 1.9 MiB"), shown, "{script}: {:?}", finished.stdout);
        if shown {
            assert!(finished.stdout.ends_with("\r\u{1b}[K"), "{:?}", finished.stdout);
        } else {
            assert_eq!(finished.stdout, "", "{script}");
        }
    }
    // Nobody is disturbed while typing.
    let typed = "sleep 1 | script --quiet --return --command 'otto-serve -- otto-mmap-write --dataset d' /dev/null";
    let finished = place.job("bash").args(["-c", typed]).run().ok();
    assert!(!finished.stdout.contains('\u{1b}'), "{:?}", finished.stdout);
}

#[test]
fn a_signal_now_and_then_does_not_keep_memory_from_being_taken() {
    let place = Place::new();
    let script = "exec python3 -c '
import otto, signal
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
otto.put_dataset(\"d\", bytes(300_000_000))
signal.setitimer(signal.ITIMER_REAL, 0)
print(len(otto.get_dataset(\"d\")))'";
    assert_eq!(place.serve(script).run().ok().stdout, "300000000\n");
}

#[test]
fn what_is_damaged_hides_nothing_else() {
    let place = Place::new();
    let script = "seq 3 | otto-mmap-write --dataset both; otto-mmap-write both k v
        printf 'xxxx' > /dev/shm/otto-$OTTO_RUN_ID-both; rm /dev/shm/.otto-$OTTO_RUN_ID-both.ctl
        otto-mmap-read --stat both | jq -c '[.kind, .bytes]'; echo ${PIPESTATUS[0]}
        otto-mmap-read --list | grep ^$OTTO_RUN_ID | cut -f 2-4";
    let finished =
        place.bash(&format!("otto-serve -- bash -c '{}'", script.replace('\'', "'\\''")));
    let finished = finished.run().ok();
    let expected = "[\"dataset\",6]\n1\nboth\tdocument\t4\nboth\tdataset\t6\n";
    assert_eq!(finished.stdout, expected);
    assert_eq!(finished.stderr.lines().count(), 1, "{}", finished.stderr);
}

/// `otto-serve` leaves what its command started alone; that can publish no more.
#[test]
fn who_outlives_the_run_leaves_nothing_behind() {
    let place = Place::new();
    let script = "mkfifo go told; echo $OTTO_RUN_ID > run
        (read -r _ < go
            seq 9 | otto-mmap-write --dataset late 2>> errors || echo $? >> statuses
            otto-mmap-write late x 1 2>> errors || echo $? >> statuses
            echo done > told) > /dev/null 2>&1 & exit 0";
    let _ = place.serve(script).run().ok();
    let _ = place.bash("timeout 20 bash -c 'echo > go'; timeout 20 cat told").run().ok();
    let read = |name: &str| std::fs::read_to_string(place.path().join(name)).unwrap();
    assert_eq!(read("statuses"), "1\n1\n", "{}", read("errors"));
    assert_eq!(read("errors").matches("has ended").count(), 2, "{}", read("errors"));
    assert_eq!(traces_of(read("run").trim()), Vec::<PathBuf>::new());
}
