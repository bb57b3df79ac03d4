//! Exit statuses and the one line a refusal says, program by program.

use otto_e2e::Place;
use std::time::Duration;

/// Runs a command line under otto-serve and insists on a refusal: the status, one line on
/// standard error that starts with the program's name and has `mentions` in it, and no output.
fn refused(place: &Place, command: &str, status: i32, mentions: &[&str]) {
    let finished = place.serve(&format!("exec {command}")).run().with_status(status);
    assert_eq!(finished.stdout, "", "{command}");
    let line = finished.refused(status);
    let program = command.split(' ').next().unwrap_or_default();
    assert!(line.starts_with(&format!("{program}: ")), "{command}: {line}");
    for word in mentions {
        assert!(line.contains(word), "{command}: no {word:?} in: {line}");
    }
}

#[test]
fn what_is_missing_is_status_3() {
    let place = Place::new();
    for via in ["socket", "mmap"] {
        refused(&place, &format!("otto-get --via {via} no.key"), 3, &["no.key"]);
        refused(&place, &format!("otto-delete --via {via} no.key"), 3, &["no.key"]);
    }
    let files = "env OTTO_TASK_DIR=. OTTO_VIA=files otto-get no.key";
    let line = place.serve(&format!("exec {files}")).run().refused(3);
    assert!(line.contains("no.key"), "{line}");
    refused(&place, "otto-mmap-read nobody", 3, &["nobody"]);
    refused(&place, "otto-mmap-read nobody key", 3, &["nobody"]);
    refused(&place, "otto-mmap-read --dataset nothing", 3, &["nothing"]);
    refused(&place, "otto-mmap-read --stat nothing", 3, &["nothing"]);
    refused(&place, "otto-mmap-write --remove nobody", 3, &["nobody"]);
    refused(&place, "otto-mmap-write --remove --dataset nothing", 3, &["nothing"]);
    refused(&place, "otto-pipe read nothing", 3, &["nothing"]);
}

#[test]
fn wrong_usage_is_status_2() {
    let place = Place::new();
    for command in [
        "otto-set",
        "otto-set key",
        "otto-set 'a key' value",
        "otto-set '' value",
        "otto-set --json key {",
        "otto-set --json key NaN",
        "otto-set --json key '\"\\ud800\"'",
        "otto-set --if-rev x key value",
        "otto-set --via telepathy key value",
        "otto-set --via mmap 'bad/task.key' value",
        "otto-get",
        "otto-get --timeout 1 --wait",
        "otto-get --timeout soon --wait key",
        "otto-list a b",
        "otto-delete",
        "otto-incr",
        "otto-incr key one",
        "otto-set --ttl soon key value",
        "otto-set --ttl 0 key value",
        "otto-set --ttl 1e300 key value",
        "otto-set --append --if-absent key value",
        "otto-set --append --ttl 1 key value",
        "otto-set --batch a b",
        "otto-set --batch --json a",
        "otto-get --ttl --wait key",
        "otto-subscribe",
        "otto-subscribe --from yesterday key",
        "otto-subscribe --count many key",
        "otto-publish channel",
        "otto-publish 'a channel' value",
        "otto-lock",
        "otto-lock name",
        "otto-lock -n 0 name -- true",
        "otto-lock -n many name -- true",
        "otto-lock 'a name' -- true",
        "otto-lock name --hold me",
        "otto-lock name --hold $$ -- true",
        "otto-lock --who name -- true",
        "otto-lock --json name -- true",
        "otto-barrier name",
        "otto-barrier name few",
        "otto-barrier name 0",
        "otto-cancel bad.name",
        "otto-cancel --run x",
        "otto-progress",
        "otto-progress 1",
        "otto-progress --watch 1 2",
        "otto-progress --run 1 1 2",
        "otto-progress one 2",
        "otto-pipe",
        "otto-pipe create",
        "otto-pipe create bad/name",
        "otto-mmap-write",
        "otto-mmap-write --remove",
        "otto-mmap-write --remove task key",
        "otto-mmap-write --remove --dataset d file",
        "otto-mmap-write --remove --dataset d --spill",
        "otto-mmap-write --spill task key value",
        "otto-mmap-write --dataset bad/name /etc/hosts",
        "otto-mmap-write --dataset d /tmp",
        "otto-mmap-read",
        "otto-mmap-read task --wait",
        "otto-mmap-read task key --timeout 1",
        "otto-mmap-read task key --wait --timeout soon",
        "otto-mmap-read --list --stat d",
        "otto-mmap-read --output f task",
        "otto-mmap-read --list --wait",
        "otto-get --no-such-option key",
    ] {
        refused(&place, command, 2, &[]);
    }
    refused(&place, "otto-get --defualt x key", 2, &["--defualt", "--help"]);
}

#[test]
fn a_condition_that_does_not_hold_is_status_5() {
    let place = Place::new();
    let held = "otto-set --if-absent k 1; otto-set --if-rev \"$(otto-get --rev k | cut -f1)\" k 2; \
        otto-get k";
    assert_eq!(place.serve(held).run().ok().stdout, "2\n");
    let line = place.serve("otto-set k 1; otto-set --if-absent k 2").run().refused(5);
    assert!(line.contains('k'), "{line}");
    let line = place.serve("otto-set k 1; otto-set --if-rev 99 k 2").run().refused(5);
    assert!(line.contains("99") || line.contains('k'), "{line}");
}

#[test]
fn defaults_and_time_limits() {
    let place = Place::new();
    let out = place.serve("otto-get --default 'none yet' a.b; otto-get --default '' a.b").run();
    assert_eq!(out.ok().stdout, "none yet\n\n");

    for via in ["socket", "mmap", "files"] {
        let wait = format!("OTTO_VIA={via} OTTO_TASK_DIR=$PWD otto-get --wait --timeout 1 a.b");
        let finished = place.serve(&wait).run();
        let took = finished.took;
        assert!(finished.refused(4).contains("a.b"), "{via}");
        let (least, most) = (Duration::from_millis(950), Duration::from_secs(4));
        assert!(least < took && took < most, "{via}: {took:?}");
    }
    let both = place.serve("otto-get --wait --timeout 0.2 --default later a.b").run();
    assert_eq!(both.ok().stdout, "later\n");
}

/// The waiting side must be woken, whatever the transport: no sleep decides here.
#[test]
fn a_wait_ends_when_the_value_comes() {
    let place = Place::new();
    for via in ["socket", "mmap", "files"] {
        let script = format!(
            "export OTTO_VIA={via} OTTO_TASK_DIR=$PWD
             otto-get --wait --timeout 30 t.value >got & otto-set t.other 1
             otto-set t.value 'it came'; wait $!; cat got"
        );
        assert_eq!(place.serve(&script).run().ok().stdout, "it came\n", "{via}");
    }
}

#[test]
fn waiting_for_a_task_that_has_ended_is_status_6() {
    let place = Place::new();
    let file = "tasks:\n  \
        build:\n    bash: otto-set other 1\n  \
        ask:\n    before: [build]\n    bash: |\n      \
          status=0\n      \
          otto-get --wait --timeout 30 build.version || status=$?\n      \
          echo \"status $status\"\n";
    let finished = place.otto_run(file).run().ok();
    assert!(finished.stdout.contains("status 6"), "{}\n{}", finished.stdout, finished.stderr);
    assert!(finished.took < Duration::from_secs(20), "{:?}", finished.took);
}

/// Also when the task ends while somebody already waits, and for Python and bash alike.
#[test]
fn a_wait_ends_with_status_6_when_the_task_ends() {
    let place = Place::new();
    let file = "tasks:\n  \
        build:\n    bash: otto-get --wait --timeout 30 ask.waits; otto-get --wait --timeout 30 snake.waits\n  \
        ask:\n    bash: |\n      \
          otto-set waits 1\n      \
          source \"$OTTO_SH\"\n      \
          status=0\n      \
          otto_wait -v version --timeout 30 build.version || status=$?\n      \
          echo \"status $status\"\n  \
        snake:\n    python3: |\n      \
          import otto\n      \
          otto.set('waits', 1)\n      \
          try:\n          \
              otto.wait('build.version', timeout=30)\n      \
          except TimeoutError:\n          \
              print('timed out')\n      \
          except otto.OttoError as error:\n          \
              print('ended:', error)\n";
    let finished = place.otto_run(file).args(["-j", "3"]).run().ok();
    assert!(finished.stdout.contains("status 6"), "{}\n{}", finished.stdout, finished.stderr);
    assert!(finished.stdout.contains("ended: "), "{}\n{}", finished.stdout, finished.stderr);
}

#[test]
fn without_a_run_a_program_says_how_to_get_one() {
    let place = Place::new();
    for command in [
        "otto-set a 1",
        "otto-set --append a 1",
        "otto-set --batch /dev/null",
        "otto-get a",
        "otto-get --ttl a",
        "otto-list",
        "otto-incr a",
        "otto-subscribe a",
        "otto-publish a 1",
        "otto-lock a -- true",
        "otto-lock --who",
        "otto-barrier a 1",
        "otto-mmap-read t",
    ] {
        let line = place.bash(&format!("exec {command}")).run().refused(1);
        assert!(line.contains("otto-serve --"), "{command}: {line}");
    }
    let files = "otto-set t.a 1; otto-get t.a; cat output.t.json";
    let out = place.bash(files).env("OTTO_TASK_DIR", place.path()).run().ok().stdout;
    assert!(out.starts_with("1\n{\"a\":\"1\"}") || out.contains("\"a\""), "{out}");
    let progress = place.bash("otto-progress 1 2 half").run().ok();
    assert!(progress.stderr.contains("half"), "{}", progress.stderr);
}

/// Whatever is in a name or message: one line, and nothing that a terminal obeys.
#[test]
fn what_is_said_stays_one_plain_line() {
    let place = Place::new();
    for (command, status) in [
        ("otto-serve -- $'no\\nsuch\\e[31m'", 127),
        ("otto-serve -- $'/dev/null\\n'", 127),
        ("otto-serve -- otto-lock x -- $'no\\nsuch\\e[31m'", 127),
        ("otto-progress 1 10 $'a\\nb\\e[31m\\r'", 0),
        ("otto-progress 1 10 --id $'a\\nb\\e[31m'", 0),
        ("otto-get $'a\\e[31m\\nb'", 2),
        ("otto-get --no-such=$'\\e[31m\\nb' a", 2),
        ("otto-mmap-read t --via $'\\e[31m\\nb'", 2),
    ] {
        let said = place.bash(command).run().with_status(status).stderr;
        let line = said.strip_suffix('\n').expect("a line");
        assert!(!line.contains(char::is_control), "{command}: {said:?}");
    }
}

#[test]
fn every_program_has_help_with_an_example_and_a_version() {
    let place = Place::new();
    let bin = otto_e2e::prefix().join("bin");
    let mut programs = 0;
    for entry in std::fs::read_dir(bin).expect("staged").flatten() {
        let program = entry.file_name().to_string_lossy().into_owned();
        programs += 1;
        let help = place.job(&program).arg("--help").run().ok();
        assert!(help.stdout.to_lowercase().contains("example"), "{program}: {}", help.stdout);
        assert_eq!(help.stderr, "", "{program}");
        let version = place.job(&program).arg("--version").run().ok().stdout;
        assert_eq!(version, format!("{program} {}\n", env!("CARGO_PKG_VERSION")));
    }
    assert_eq!(programs, 16);
}

#[test]
fn a_reader_that_goes_is_no_error() {
    let place = Place::new();
    let script = "for i in {1..300}; do otto-set k.$i 1; done
        otto-set big - < <(head -c 3000000 /dev/zero | tr '\\0' x)
        otto-list | head -1; otto-get big | head -c 1; otto-list --json | head -c 1";
    let finished = place.serve(script).run().ok();
    assert_eq!(finished.stdout, "big\nx[");
    assert_eq!(finished.stderr, "");
}

#[test]
fn list_incr_and_delete() {
    let place = Place::new();
    for via in ["socket", "mmap", "files"] {
        let script = format!(
            "export OTTO_VIA={via} OTTO_TASK_DIR=$PWD/{via}; mkdir {via}
             otto-list 'nothing*'
             otto-set b.y 1; otto-set a.x 1; otto-set a.é 1
             otto-list; otto-list 'a.*'; otto-list --json '?.y'
             otto-incr a.n; otto-incr a.n 41; otto-incr a.n -- -2; otto-incr b.y 9
             otto-delete a.x; otto-list 'a.?'"
        );
        let out = place.serve(&script).run().ok().stdout;
        let wanted = "a.x\na.é\nb.y\na.x\na.é\n[\"b.y\"]\n1\n42\n40\n10\na.n\na.é\n";
        assert_eq!(out, wanted, "{via}");
    }
    let line = place.serve("otto-set a.v text; otto-incr a.v").run().refused(1);
    assert!(line.contains("a.v"), "{line}");
}
