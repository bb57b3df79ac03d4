//! `otto-pipe record` and `replay`.

use crate::pipes::Outside;
use nix::sys::signal::Signal;
use otto_e2e::{root, wait_for};
use std::fs;
use std::time::Duration;

#[test]
fn what_passed_comes_again() {
    let outside = Outside::new();
    let bytes: Vec<u8> = (0..2_000_000_u32).flat_map(|i| (i ^ 0x5a).to_le_bytes()).collect();
    fs::write(outside.place().path().join("in"), &bytes).expect("written");
    let script = "for s in a b; do otto-pipe create $s >/dev/null; done
        otto-pipe record r <in | cmp - in
        otto-pipe write a <in & otto-pipe record r a --to b --force & otto-pipe read b | cmp - in
        wait; otto-pipe replay r | cmp - in; otto-pipe replay - <r | cmp - in
        otto-pipe replay r b & otto-pipe read b | cmp - in; wait
        otto-pipe record empty </dev/null; otto-pipe replay empty | wc -c; stat -c %a r";
    assert_eq!(outside.bash(script).run().ok().stdout, "0\n600\n");
}

#[test]
fn an_existing_file_is_kept_replaced_or_continued() {
    let outside = Outside::new();
    let _ = outside.bash("echo one | otto-pipe record r; echo text >other").run().ok();
    let line = outside.bash("echo two | otto-pipe record r").run().refused(1);
    assert!(line.contains("--append") && line.contains("--force"), "{line}");
    let append = "echo two | otto-pipe record r --append >/dev/null; otto-pipe replay r";
    assert_eq!(outside.bash(append).run().ok().stdout, "one\ntwo\n");
    let force = "echo three | otto-pipe record r --force >/dev/null; otto-pipe replay r";
    assert_eq!(outside.bash(force).run().ok().stdout, "three\n");
    let line = outside.bash("otto-pipe record other --append </dev/null").run().refused(1);
    assert!(line.contains("is no recording"), "{line}");
    let line = outside.bash("otto-pipe replay other").run().refused(1);
    assert!(line.contains("is no recording"), "{line}");
    assert_eq!(outside.place().read("other"), "text\n");
    let mut recorder = outside.bash("exec otto-pipe record r --append").interactive().start();
    recorder.send("four\n");
    assert_eq!(recorder.line(), "four");
    let line = outside.bash("otto-pipe record r --append </dev/null").run().refused(1);
    assert!(line.contains("is being recorded to by another process"), "{line}");
    let live = outside.bash("otto-pipe replay r --quiet").run().ok();
    assert_eq!((live.stdout.as_str(), live.stderr.as_str()), ("three\nfour\n", ""));
    recorder.end_input();
    let _ = recorder.finish().ok();
}

/// Whatever keeps the stream from coming, an older recording is as it was and a new one not in the way.
#[test]
fn a_stream_that_is_not_there_costs_no_recording() {
    let outside = Outside::new();
    let _ = outside.bash("echo one | otto-pipe record r").run().ok();
    for how in ["r --force", "r --append", "new"] {
        for (stream, status) in [("none", 3), ("s --timeout 0.05", 4)] {
            let script =
                format!("otto-pipe create s >/dev/null; exec otto-pipe record {how} {stream}");
            let _ = outside.bash(&script).run().refused(status);
        }
    }
    let replayed = outside.bash("otto-pipe replay r").run().ok();
    assert_eq!((replayed.stdout.as_str(), replayed.stderr.as_str()), ("one\n", ""));
    assert_eq!(outside.bash("echo two | otto-pipe record new").run().ok().stdout, "two\n");
}

/// Three pieces, and a recording cut after every byte: what is whole comes, and never anything else.
#[test]
fn a_recording_cut_anywhere_gives_what_is_whole() {
    let outside = Outside::new();
    let script = "for i in 1 2 3; do echo piece $i | otto-pipe record r --append >/dev/null; done
        size=$(stat -c %s r)
        for ((n = 16; n < size; n++)); do
            head -c $n r | otto-pipe replay - 2>err >out
            grep -q 'was cut short' err; [[ $(wc -l <err) = 1 ]]
            pieces=$(((n - 16) / 28)); ((pieces <= 3)) || pieces=3
            cmp out <(for ((i = 1; i <= pieces; i++)); do echo piece $i; done)
        done; head -c 15 r | otto-pipe replay - 2>&1 || true; otto-pipe replay r";
    let shown = outside.bash(script).run().ok().stdout;
    assert_eq!(shown, "otto-pipe: - is no recording of otto-pipe\npiece 1\npiece 2\npiece 3\n");
}

/// Every bit flipped, and something behind the end: refused, after nothing but what is whole.
#[test]
fn a_damaged_recording_is_refused_where_the_damage_is() {
    let outside = Outside::new();
    let _ = outside.bash("for i in 1 2; do echo $i | otto-pipe record r --append; done").run().ok();
    let whole = fs::read(outside.place().path().join("r")).expect("there");
    let damaged = outside.place().path().join("damaged");
    for at in 0..whole.len() * 8 {
        // When it began is for people to know.
        if (64..128).contains(&at) {
            continue;
        }
        let mut bytes = whole.clone();
        bytes[at / 8] ^= 1 << (at % 8);
        fs::write(&damaged, bytes).expect("written");
        let finished = outside.bash("exec otto-pipe replay damaged").run();
        assert!("1\n2\n".starts_with(&finished.stdout), "bit {at}: {}", finished.stdout);
        let line = finished.refused(1);
        assert!(line.contains("is damaged at byte") || line.contains("is no recording"), "{line}");
    }
    fs::write(&damaged, [whole.as_slice(), b"x"].concat()).expect("written");
    let line = outside.bash("exec otto-pipe replay damaged").run().refused(1);
    assert!(line.contains("is damaged at byte"), "{line}");
    let line = outside.bash("exec otto-pipe record damaged --append </dev/null").run().refused(1);
    assert!(line.contains("is damaged at byte"), "{line}");
}

/// What a reader has got is in the recording, even when its maker is killed.
#[test]
fn a_killed_recorder_leaves_what_was_read() {
    let outside = Outside::new();
    let mut recorder = outside.bash("exec otto-pipe record r").interactive().start();
    for line in ["one", "two", "three"] {
        recorder.send(&format!("{line}\n"));
        assert_eq!(recorder.line(), line);
    }
    recorder.signal(Signal::SIGKILL);
    let _ = recorder.finish().with_status(137);
    let replayed = outside.bash("otto-pipe replay r").run().ok();
    assert_eq!(replayed.stdout, "one\ntwo\nthree\n");
    assert!(replayed.stderr.contains("was cut short"), "{}", replayed.stderr);
    let more = "echo four | otto-pipe record r --append >/dev/null; otto-pipe replay r";
    let more = outside.bash(more).run().ok();
    assert_eq!((more.stdout.as_str(), more.stderr.as_str()), ("one\ntwo\nthree\nfour\n", ""));
    // In the middle of a stream that never pauses.
    let recorder = outside.bash("yes | otto-pipe record fast >/dev/null").start();
    let fast = outside.place().path().join("fast");
    wait_for("something recorded", || {
        fs::metadata(&fast).is_ok_and(|found| found.len() > 5 << 20).then_some(())
    });
    recorder.signal_group(Signal::SIGKILL);
    let _ = recorder.finish();
    let script = "otto-pipe replay fast 2>/dev/null | tr -d 'y\\n' | wc -c";
    assert_eq!(outside.bash(script).run().ok().stdout, "0\n");
}

/// The stream goes on, the recording ends with its last whole piece.
#[test]
fn a_full_disk_ends_the_recording_and_not_the_stream() {
    let outside = Outside::new();
    let line = outside.bash("exec otto-pipe record /dev/full --force </dev/null").run().refused(1);
    assert!(line.contains("No space left"), "{line}");
    if !root() {
        return;
    }
    let script = "mkdir small; mount -t tmpfs -o size=64k none small
        seq 200000 | otto-pipe record small/r >out || echo $?
        cmp out <(seq 200000); otto-pipe replay small/r >kept 2>cut
        cmp -n $(stat -c %s kept) kept out; cat cut; umount small";
    let job = outside.bash("exec unshare --mount bash -euo pipefail -c \"$1\"").arg(script);
    let finished = job.run().ok();
    let told =
        "1\notto-pipe: small/r was cut short: it has no end, and 0 bytes of an unfinished piece\n";
    assert_eq!(finished.stdout, told);
    assert_eq!(finished.stderr.lines().count(), 1, "{}", finished.stderr);
    assert!(finished.stderr.contains("the stream goes on"), "{}", finished.stderr);
}

#[test]
fn readers_that_leave_end_it() {
    let outside = Outside::new();
    let script =
        "set +o pipefail; yes | otto-pipe record r | head -n 1; otto-pipe replay r | head -n 1";
    assert_eq!(outside.bash(script).run().ok().stdout, "y\ny\n");
    let script = "otto-pipe create s >/dev/null; otto-pipe read s --count 1 >/dev/null &
        exec otto-pipe record r --force --to s < <(yes)";
    let line = outside.bash(script).run().refused(1);
    assert!(line.contains("the reader of s has gone"), "{line}");
}

#[test]
fn a_recording_keeps_its_times() {
    let outside = Outside::new();
    let mut recorder = outside.bash("exec otto-pipe record r").interactive().start();
    for line in ["one", "two"] {
        recorder.send(&format!("{line}\n"));
        assert_eq!(recorder.line(), line);
        std::thread::sleep(Duration::from_millis(400));
    }
    recorder.end_input();
    let _ = recorder.finish().ok();
    let took = |how: &str| {
        let finished = outside.bash(&format!("exec otto-pipe replay r {how}")).run().ok();
        assert_eq!(finished.stdout, "one\ntwo\n", "{how}");
        finished.took
    };
    assert!(took("--timing") >= Duration::from_millis(400));
    assert!(took("--speed 2") >= Duration::from_millis(200));
    assert!(took("--speed 1000") < Duration::from_millis(400));
    for wrong in ["0", "-1", "nan", "inf", "x"] {
        let _ = outside.bash(&format!("exec otto-pipe replay r --speed {wrong}")).run().refused(2);
    }
}
