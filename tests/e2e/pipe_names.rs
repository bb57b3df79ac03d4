//! Streams with a name: in a run, and outside all runs, where any two programs meet.

use crate::pipes::Outside;
use otto_e2e::{Place, wait_for};
use std::fs::{self, Permissions};
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};

#[test]
fn two_programs_meet_outside_all_runs() {
    let outside = Outside::new();
    let path = outside.bash("otto-pipe create logs").run().ok().stdout;
    let mode = |path: &str| fs::metadata(path).expect("made").permissions().mode() & 0o7777;
    assert_eq!(mode(path.trim()), 0o600);
    assert_eq!(mode(path.trim().trim_end_matches("/logs.fifo")), 0o700);
    let masked = outside.bash("umask 777; otto-pipe create masked").run().ok().stdout;
    assert_eq!(mode(masked.trim()), 0o600);
    let _ = outside.bash("otto-pipe remove masked").run().ok();
    let script = "seq 3 >\"$(otto-pipe path logs)\" & otto-pipe read logs; otto-pipe list
        otto-pipe list --json; otto-pipe remove logs; otto-pipe list";
    let shown = outside.bash(script).run().ok().stdout;
    let json = format!("[{{\"name\":\"logs\",\"path\":\"{}\"}}]", path.trim());
    assert_eq!(shown, format!("1\n2\n3\nlogs\n{json}\n"));
    assert!(!fs::exists(path.trim()).expect("looked"));
}

#[test]
fn clean_up_of_dead_runs_leaves_streams_alone() {
    let outside = Outside::new();
    let script = "otto-pipe create stays >/dev/null
        (exec otto-serve -- bash -c 'otto-pipe create gone >/dev/null; kill -9 $PPID') || true
        otto-serve -- otto-pipe list; otto-pipe list; ls \"$XDG_RUNTIME_DIR/otto\"";
    assert_eq!(outside.bash(script).run().ok().stdout, "stays\nstreams\n");
}

#[test]
fn what_is_no_stream_of_ours_is_refused_in_a_line() {
    let place = Place::new();
    for command in ["create", "path", "remove", "read", "write", "stat", "tap"] {
        for name in ["''", "a.b", "..", "$'a\\nb'"] {
            let line = place.serve(&format!("exec otto-pipe {command} {name}")).run().refused(2);
            assert!(line.contains("is no stream name"), "{command} {name}: {line}");
        }
    }
    let replaced = "otto-pipe create s; p=$(otto-pipe path s); rm $p; echo data >$p; exec ";
    for (command, words) in [
        ("otto-pipe create s", "is no FIFO of yours"),
        ("otto-pipe remove s", "is no FIFO of yours"),
        ("otto-pipe read s", "is no FIFO"),
        ("otto-pipe write s", "is no FIFO"),
        ("otto-pipe tee s", "is no FIFO"),
        ("otto-pipe merge s", "is no FIFO"),
    ] {
        let line = place.serve(&format!("{replaced}{command}")).run().refused(1);
        assert!(line.contains(words), "{command}: {line}");
    }
    for command in ["path", "remove", "read", "write", "merge", "tee", "stat", "tap"] {
        let line = place.serve(&format!("exec otto-pipe {command} none")).run().refused(3);
        assert!(line.contains("none"), "{command}: {line}");
    }
    let line = place.bash("OTTO_RUN_DIR=/nowhere exec otto-pipe create s").run().refused(1);
    assert!(line.contains("no run here any more"), "{line}");
    let line = place.bash("exec otto-pipe list --run 4194304999").run().refused(3);
    assert!(line.contains("no such run"), "{line}");
    for option in ["--run x", "--every x", "--last 99999999999999999999"] {
        let line = place.bash(&format!("exec otto-pipe tap s {option}")).run().refused(2);
        assert!(line.contains(option.split(' ').next().unwrap_or("-")), "{option}: {line}");
    }
}

#[test]
fn a_folder_that_others_may_use_is_refused() {
    let outside = Outside::new();
    let _ = outside.bash("otto-pipe create s").run().ok();
    let streams = outside.runtime().join("otto/streams");
    fs::set_permissions(&streams, Permissions::from_mode(0o755)).expect("ours");
    let refused = |what: &str| {
        for command in ["create s", "read s", "list"] {
            let line = outside.bash(&format!("exec otto-pipe {command}")).run().refused(1);
            assert!(line.contains("must be a folder of yours"), "{what}, {command}: {line}");
        }
    };
    refused("open to others");
    fs::remove_dir_all(&streams).expect("removed");
    symlink("/tmp", &streams).expect("linked");
    refused("a link");
    fs::remove_file(&streams).expect("removed");
    fs::write(&streams, "").expect("written");
    refused("a file");
}

/// Producer and consumer may both create a stream, at the same time.
#[test]
fn creators_race_for_one_stream() {
    let outside = Outside::new();
    let script = "for i in {1..20}; do otto-pipe create s & done | sort -u; wait";
    let path = outside.bash(script).run().ok().stdout;
    assert_eq!(path.lines().count(), 1, "{path}");
    assert!(fs::metadata(path.trim()).expect("made").file_type().is_fifo());
}

/// Whoever has a stream open goes on with it when its name is removed.
#[test]
fn a_removed_stream_goes_on_for_those_who_have_it() {
    let outside = Outside::new();
    let mut reader = outside.bash("otto-pipe create s; exec otto-pipe read s").start();
    let path = reader.line();
    let script = "exec 3>\"$1\"; otto-pipe remove s; echo still >&3";
    let _ = outside.bash(script).arg(&path).run().ok();
    assert_eq!(reader.line(), "still");
    let _ = reader.finish().ok();
    wait_for("its name is gone", || (!fs::exists(&path).expect("looked")).then_some(()));
}
