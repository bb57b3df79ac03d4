//! `otto-pipe write` and `read`: bytes, lines, JSON, counts; ends of every kind.

use crate::pipes::Outside;
use nix::sys::signal::Signal;
use std::fs;

/// What hurts those who think in text: NUL, all bytes, a line of 16 MiB, no newline at the end.
fn hostile() -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..=255).collect();
    bytes.extend_from_slice(b"\n\n\0\0\n");
    bytes.resize(bytes.len() + (16 << 20), b'x');
    bytes.extend_from_slice(b"\nthe end");
    bytes
}

#[test]
fn any_bytes_come_out_as_they_went_in() {
    let outside = Outside::new();
    let bytes = hostile();
    fs::write(outside.place().path().join("in"), &bytes).expect("written");
    for (write, read) in [
        ("otto-pipe write s <in", "otto-pipe read s >out"),
        ("cat in | otto-pipe write s", "otto-pipe read s | cat >out"),
        ("otto-pipe write s <in", "otto-pipe read s >>out"),
        ("cat in >\"$(otto-pipe path s)\"", "otto-pipe read s --quiet >out"),
    ] {
        let script = format!("otto-pipe create s; rm -f out; {write} & {read}; wait $!");
        let _ = outside.bash(&script).run().ok();
        let out = fs::read(outside.place().path().join("out")).expect("there");
        assert!(out == bytes, "{write}, {read}: {} bytes of {}", out.len(), bytes.len());
    }
    let empty = "otto-pipe create s >/dev/null; otto-pipe write s </dev/null & otto-pipe read s
        wait $!; otto-pipe write s </dev/null & otto-pipe read s --lines; wait $!
        otto-pipe write s </dev/null & otto-pipe read s --json --count 1; wait $!";
    assert_eq!(outside.bash(empty).run().ok().stdout, "");
}

#[test]
fn lines_are_whole_and_the_last_one_gets_its_newline() {
    let outside = Outside::new();
    let mut bytes = hostile();
    fs::write(outside.place().path().join("in"), &bytes).expect("written");
    bytes.push(b'\n');
    for read in ["--lines", "--count 1000"] {
        let script = format!(
            "otto-pipe create s; otto-pipe write s <in & otto-pipe read s {read} >out; wait $!"
        );
        let _ = outside.bash(&script).run().ok();
        let out = fs::read(outside.place().path().join("out")).expect("there");
        assert!(out == bytes, "{read}: {} bytes of {}", out.len(), bytes.len());
    }
}

/// Several readers that a script starts write into the one file it writes to: none over another.
#[test]
fn readers_into_one_file_lose_nothing() {
    let outside = Outside::new();
    let script = "for s in a b; do otto-pipe create $s; done
        for s in a b; do yes $s | head -c 20M | otto-pipe write $s & done
        (otto-pipe read a & otto-pipe read b & wait) >out; wait; tr -d '\\n' <out | wc -c
        seq 3 | otto-pipe tee - - >out; wc -c <out";
    let shown = outside.bash(script).run().ok().stdout;
    assert!(shown.ends_with("\n20971520\n12\n"), "{shown}");
}

/// Two readers by lines share a stream, and append to one file: no line is torn.
#[test]
fn readers_by_lines_append_without_mixing() {
    let outside = Outside::new();
    let script = "otto-pipe create a; otto-pipe create b
        for s in a b; do otto-pipe read --lines $s >>out & done
        for s in a b; do seq -f \"$s line %.0f of many\" 20000 | otto-pipe write $s & done
        wait; sort -u out | grep -c '^[ab] line [0-9]* of many$'; wc -l <out";
    let shown = outside.bash(script).run().ok().stdout;
    assert!(shown.ends_with("40000\n40000\n"), "{shown}");
}

#[test]
fn a_count_takes_no_byte_more() {
    let outside = Outside::new();
    let script = "p=$(otto-pipe create s); exec 3<>\"$p\"; seq 5 >&3
        for i in 1 2 3; do echo \"$i: $(otto-pipe read s --count 1)\"; done
        otto-pipe read s --json --count 1; printf 'half' >&3
        otto-pipe read s --count 2 & echo ' line' >&3; wait $!";
    let shown = outside.bash(script).run().ok().stdout;
    assert_eq!(shown, "1: 1\n2: 2\n3: 3\n4\n5\nhalf line\n");
    // Enough has been read when the last line is there, not when something follows it.
    let script = "exec 3<>\"$(otto-pipe path s)\"; seq 2 >&3; otto-pipe read s --count 2";
    assert_eq!(outside.bash(script).run().ok().stdout, "1\n2\n");
    let line = outside.bash("exec otto-pipe read s --count 0").run().refused(2);
    assert!(line.contains("--count"), "{line}");
}

#[test]
fn json_is_checked_line_by_line() {
    let outside = Outside::new();
    for (input, passed, line) in [
        ("1\\n{\"a\":[2]}\\n{a:3}\\n4\\n", "1\n{\"a\":[2]}\n", "line 3 of the stream"),
        ("1\\n\\n2\\n", "1\n", "line 2 of the stream: invalid JSON at byte 0"),
        ("1\\n2", "1\n2\n", ""),
        ("\"a\\0b\"\\n", "", "line 1 of the stream"),
        ("\\xff\\n", "", "UTF-8"),
        ("1 2\\n", "", "line 1 of the stream"),
        (" {\"b\" : 1.10}\\r\\n", " {\"b\" : 1.10}\r\n", ""),
    ] {
        let script = "otto-pipe create s >/dev/null; printf \"$1\" >\"$(otto-pipe path s)\" &
            exec otto-pipe read s --json";
        let finished = outside.bash(script).arg(input).run();
        assert_eq!(finished.stdout, passed, "{input}");
        if line.is_empty() {
            let _ = finished.ok();
        } else {
            let said = finished.refused(1);
            assert!(said.contains(line), "{input}: {said}");
        }
    }
}

#[test]
fn whoever_is_killed_the_other_side_ends() {
    let outside = Outside::new();
    let _ = outside.bash("otto-pipe create s").run().ok();
    let reader = outside.bash("exec otto-pipe read s").start();
    let mut writer = outside.bash("exec otto-pipe write s").interactive().start();
    let mut reader = reader;
    writer.send("one\n");
    assert_eq!(reader.line(), "one");
    writer.signal(Signal::SIGKILL);
    let _ = writer.finish().with_status(137);
    let _ = reader.finish().ok();
    let mut reader = outside.bash("exec otto-pipe read s").start();
    let mut writer = outside.bash("exec otto-pipe write s").interactive().start();
    writer.send("two\n");
    assert_eq!(reader.line(), "two");
    reader.signal(Signal::SIGKILL);
    let _ = reader.finish().with_status(137);
    writer.send("three\n");
    let line = writer.finish().refused(1);
    assert!(line.contains("reader of s has gone after 4 bytes"), "{line}");
}

#[test]
fn readers_of_readers_may_leave_and_closed_ends_hang_nothing() {
    let outside = Outside::new();
    let script = "set +o pipefail; otto-pipe create s >/dev/null
        (yes | otto-pipe write s) 2>/dev/null & otto-pipe read s | head -n 1; wait
        (yes | otto-pipe write s) 2>/dev/null & otto-pipe read s --lines | head -n 1; wait
        otto-pipe write s <&- & otto-pipe read s; wait
        seq 3 | otto-pipe write s & otto-pipe read s >&-; wait
        seq 3 | otto-pipe write s & otto-pipe read s --lines <&- 2>&-; wait";
    assert_eq!(outside.bash(script).run().ok().stdout, "y\ny\n1\n2\n3\n");
    for script in ["read s >/dev/full", "read s --lines >/dev/full", "read s --timeout 0.01"] {
        let status = if script.contains("timeout") { 4 } else { 1 };
        let feed = if status == 1 { "seq 3 >\"$(otto-pipe path s)\" &" } else { "" };
        let line = outside.bash(&format!("{feed} exec otto-pipe {script}")).run().refused(status);
        assert!(line.starts_with("otto-pipe: "), "{line}");
    }
    let line = outside.bash("exec otto-pipe write s --timeout 0.01").run().refused(4);
    assert!(line.contains("was not read in time"), "{line}");
    for command in ["read", "write"] {
        let line = outside.bash(&format!("exec otto-pipe {command}")).run().refused(2);
        assert!(line.contains("is not set"), "{line}");
    }
}

/// A producer that failed gives no clean end: what it wrote, then status 6 and its name, however
/// the task's input is read.
#[test]
fn a_failed_producer_is_status_6() {
    let outside = Outside::new();
    for read in [
        "otto-pipe read",
        "otto-pipe read --lines",
        "otto-pipe read --json",
        "otto-pipe read \"$OTTO_INPUT_PIPE\"",
        "otto-pipe tee - <\"$OTTO_INPUT_PIPE\"",
        "otto-pipe merge - <\"$OTTO_INPUT_PIPE\"",
        "otto-pipe record rec --force <\"$OTTO_INPUT_PIPE\"",
    ] {
        let script = format!(
            "export OTTO_INPUT_PIPE=$PWD/in.pipe; rm -f in.pipe*; mkfifo in.pipe
            (exec 3>in.pipe; seq 2 >&3
             until [[ -e in.pipe.checked ]]; do read -rt 0.01 <> <(:) || true; done
             echo fetch >in.pipe.failed) & exec {read}"
        );
        let finished = outside.bash(&script).run();
        assert_eq!(finished.stdout, "1\n2\n", "{read}");
        let line = finished.refused(6);
        assert!(line.contains("fetch failed"), "{read}: {line}");
    }
}

#[test]
fn bytes_and_rate_are_shown_where_they_are_wanted() {
    let outside = Outside::new();
    let feed = "otto-pipe create s >/dev/null; head -c 3000000 /dev/zero | otto-pipe write s &";
    let silent = outside.bash(&format!("{feed} otto-pipe read s >/dev/null; wait")).run().ok();
    assert_eq!(silent.stderr, "");
    for read in ["read s --progress", "read s --lines --progress", "tee --from s --progress -"] {
        let told = outside.bash(&format!("{feed} otto-pipe {read} >/dev/null; wait")).run().ok();
        assert!(told.stderr.contains("s 2.9 MiB"), "{read}: {}", told.stderr);
        assert_eq!(told.stderr.lines().count(), 1, "{read}: {}", told.stderr);
    }
    let bar = "{ head -c 1000 /dev/zero; sleep 1; } | otto-pipe write s & \
        otto-pipe read s >/dev/null; wait";
    let on_terminal = |command: &str| {
        let job = outside.bash("script --quiet --return --command \"$1\" /dev/null");
        job.arg(command).env("TERM", "xterm").run().ok().stdout
    };
    let shown = on_terminal(bar);
    assert!(shown.contains("\rs 1000 B") && shown.ends_with("\r\u{1b}[K"), "{shown:?}");
    let shown = on_terminal(&bar.replace(" s ", " s --quiet ").replace(" s\n", " s --quiet\n"));
    assert!(!shown.contains("1000 B"), "{shown:?}");
}
