//! `otto-pipe tee` and `merge`.

use crate::pipes::Outside;
use std::fs;

#[test]
fn everybody_gets_everything() {
    let outside = Outside::new();
    let mut bytes: Vec<u8> = (0..3_000_000_u32).flat_map(|i| (i ^ 0x5a).to_le_bytes()).collect();
    bytes.extend_from_slice(b"\0no newline");
    fs::write(outside.place().path().join("in"), &bytes).expect("written");
    for from in ["<in", "< <(cat in)", "--from ./in"] {
        let script = format!(
            "for s in a b; do otto-pipe create $s >/dev/null; done
            otto-pipe read a >1 & otto-pipe read b | cat >2 &
            otto-pipe tee a b - ./4 {from} >3; wait; cmp in 1; cmp in 2; cmp in 3; cmp in 4"
        );
        let _ = outside.bash(&script).run().ok();
    }
    let script = "for s in a b; do otto-pipe create $s >/dev/null; done
        otto-pipe read a & otto-pipe read b & otto-pipe tee a b </dev/null; wait";
    assert_eq!(outside.bash(script).run().ok().stdout, "");
}

#[test]
fn who_leaves_early_stops_nobody_else() {
    let outside = Outside::new();
    let script = "set +o pipefail; for s in a b; do otto-pipe create $s >/dev/null; done
        otto-pipe read a | head -n 1 & otto-pipe read b | tail -n 1 &
        seq 1000000 | otto-pipe tee a b; echo $?; wait";
    let mut lines: Vec<String> =
        outside.bash(script).run().ok().stdout.lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["0", "1", "1000000"]);
    let gone = "otto-pipe read a --count 1 >/dev/null & exec otto-pipe tee a < <(yes)";
    let line = outside.bash(gone).run().refused(1);
    assert!(line.contains("all readers have gone"), "{line}");
    let script = "set +o pipefail; yes | otto-pipe tee - | head -n 1";
    assert_eq!(outside.bash(script).run().ok().stdout, "y\n");
}

/// A reader may open its streams in any order, and so may writers.
#[test]
fn streams_open_in_any_order() {
    let outside = Outside::new();
    let script = "for s in a b; do otto-pipe create $s >/dev/null; done
        seq 2 | otto-pipe tee a b & exec 3<\"$(otto-pipe path b)\" 4<\"$(otto-pipe path a)\"
        cat <&3; cat <&4; wait
        (echo b >\"$(otto-pipe path b)\"; until [ -e seen ]; do sleep 0.01; done
        echo a >\"$(otto-pipe path a)\") &
        otto-pipe merge a b | while read -r line; do echo $line; : >seen; done";
    assert_eq!(outside.bash(script).run().ok().stdout, "1\n2\n1\n2\nb\na\n");
}

#[test]
fn merged_lines_are_whole_and_in_order() {
    let outside = Outside::new();
    let script = "for s in a b c d; do otto-pipe create $s >/dev/null; done; otto-pipe create to >/dev/null
        for s in a b c d; do { seq -f \"$s %.0f\" 20000; printf '%s last' $s; } | otto-pipe write $s & done
        otto-pipe merge a b c d --to to & otto-pipe read to >out; wait
        wc -l <out
        for s in a b c d; do
            cmp <(grep \"^$s\" out) <(seq -f \"$s %.0f\" 20000; echo \"$s last\") && echo whole
        done";
    assert_eq!(outside.bash(script).run().ok().stdout, "80004\nwhole\nwhole\nwhole\nwhole\n");
}

/// When nobody reads any more it ends, though one of its writers has not come.
#[test]
fn a_merge_nobody_reads_waits_for_no_writer() {
    let outside = Outside::new();
    let script = "set +o pipefail; for s in a b; do otto-pipe create $s >/dev/null; done
        (yes >\"$(otto-pipe path a)\") 2>/dev/null & otto-pipe merge a b | head -n 1";
    assert_eq!(outside.bash(script).run().ok().stdout, "y\n");
    let script = "otto-pipe create to >/dev/null; (yes >\"$(otto-pipe path a)\") 2>/dev/null &
        otto-pipe read to --count 2 >/dev/null & exec otto-pipe merge a b --to to";
    let line = outside.bash(script).run().refused(1);
    assert!(line.contains("the reader of to has gone after"), "{line}");
    let line = outside.bash("exec otto-pipe merge a b --timeout 0.05").run().refused(4);
    assert!(line.contains("was not written to in time"), "{line}");
}

/// Standard input and output are shared with others, who must not find them changed.
#[test]
fn shared_ends_keep_their_flags() {
    let outside = Outside::new();
    let script = "seq 3 | { otto-pipe tee -; grep flags /proc/self/fdinfo/0 >&2; } | cat
        : | { otto-pipe merge - ; grep flags /proc/self/fdinfo/1 >&2; } | cat";
    let finished = outside.bash(script).run().ok();
    assert_eq!(finished.stdout, "1\n2\n3\n");
    for line in finished.stderr.lines() {
        let flags = u32::from_str_radix(line.trim_start_matches("flags:").trim(), 8);
        assert_eq!(flags.expect("octal") & 0o4000, 0, "O_NONBLOCK: {line}");
    }
}

/// A file on a full disk gets nothing more; the others do.
#[test]
fn a_full_disk_stops_nobody_else() {
    let outside = Outside::new();
    let script = "otto-pipe create a >/dev/null; otto-pipe read a >1 &
        seq 100000 | otto-pipe tee a /dev/full; echo $?; wait; cmp 1 <(seq 100000)";
    let finished = outside.bash(&format!("set +e\n{script}")).run().ok();
    assert_eq!(finished.stdout, "1\n");
    assert_eq!(finished.stderr.lines().count(), 1, "{}", finished.stderr);
    assert!(finished.stderr.contains("no space left"), "{}", finished.stderr);
}
