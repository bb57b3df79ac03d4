//! Publishing and subscribing between processes: replay, commands, resuming.

use nix::sys::signal::Signal;
use otto_e2e::{Place, Server};

#[test]
fn what_is_published_reaches_who_listens_and_who_comes_late() {
    let place = Place::new();
    let server = Server::start(&place);
    let _ = server.client("otto-publish news first; otto-publish other x").run().ok();
    let mut listening = server.client("exec otto-subscribe 'news' --from start").start();
    assert_eq!(listening.line(), r#"{"seq":1,"event":"publish","key":"news","value":"first"}"#);
    let all = "otto-publish --json news '[1.10]'; printf 'in\\nput' | otto-publish news -
        echo file >f; otto-publish news @f; otto-publish news -- -";
    let _ = server.client(all).run().ok();
    for value in ["[1.10]", r#""in\nput""#, r#""file\n""#, r#""-""#] {
        let line = listening.line();
        assert!(line.ends_with(&format!("\"news\",\"value\":{value}}}")), "{line}");
    }
    listening.signal(Signal::SIGTERM);
    let _ = listening.finish();
    // Nothing is stored.
    assert_eq!(server.client("otto-list").run().ok().stdout, "");
    server.stop();
}

/// Every event once, in order, from the past into what happens meanwhile.
#[test]
fn the_past_runs_into_the_present_without_a_gap_or_a_double() {
    let place = Place::new();
    let script = "for i in {1..200}; do otto-publish n $i; done & \
        otto-subscribe n --from start --count 200 --timeout 50 >all; wait
        otto-subscribe n --from 151 --count 50 >rest; tail -n 50 all | cmp - rest; cat all";
    let out = place.serve(script).run().ok().stdout;
    let numbers: Vec<u64> = out
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"))
        .map(|event| event["value"].as_str().and_then(|text| text.parse().ok()).expect("a number"))
        .collect();
    assert_eq!(numbers, (1..=200).collect::<Vec<u64>>());
}

#[test]
fn a_command_for_each_event() {
    let place = Place::new();
    let script = "otto-set -g s 'two words'; otto-set -g --json j '{\"a\": 1.0}'; otto-delete s
        otto-set -g big - < <(head -c 300000 /dev/zero | tr '\\0' x)
        otto-set -g --json nul '\"\\u0000\"'
        otto-subscribe '*' --from start --count 5 --exec \
          'read -r json; echo \"$OTTO_EVENT_SEQ $OTTO_EVENT_KIND $OTTO_EVENT_KEY <${OTTO_EVENT_VALUE-unset}> \
             ${#json} ${OTTO_EVENT:+same}\"'";
    let out = place.serve(script).run().ok().stdout;
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "1 set s <two words> 53 same");
    assert_eq!(lines[1], "2 set j <{\"a\":1.0}> 51 same");
    assert_eq!(lines[2], "3 delete s <unset> 36 same");
    assert_eq!(lines[3], "4 set big <unset> 300046 ");
    assert_eq!(lines[4], "5 set nul <unset> 52 same");
    let failing = "otto-set -g a 1; otto-set -g b 1
        exec otto-subscribe '*' --from start --exec 'echo $OTTO_EVENT_KEY; [ $OTTO_EVENT_KEY = a ]'";
    let failed = place.serve(failing).run().with_status(1);
    assert_eq!(failed.stdout, "a\nb\n");
    assert!(
        failed.stderr.contains("status 1") && failed.stderr.contains("\"b\""),
        "{}",
        failed.stderr
    );
    let killed = "otto-set -g a 1; otto-subscribe a --from start --exec 'kill -KILL $$'";
    let _ = place.serve(killed).run().with_status(128 + 9);
    // One that does not read its input, however much there is.
    let deaf = "otto-set -g big - < <(head -c 300000 /dev/zero | tr '\\0' x)
        otto-subscribe big --from start --count 1 --exec 'exec <&-; echo deaf'";
    assert_eq!(place.serve(deaf).run().ok().stdout, "deaf\n");
}

/// An error is a line of sensible length, whatever the event.
#[test]
fn a_command_that_fails_is_told_with_the_beginning_of_its_event() {
    let place = Place::new();
    let script = "otto-set -g big - < <(head -c 300000 /dev/zero | sed 's/\\x00/é/g')
        exec otto-subscribe big --from start --exec 'exit 3'";
    let line = place.serve(script).run().refused(3);
    assert!(line.contains("\"key\":\"big\"") && line.ends_with("éé..."), "{line}");
    assert!(line.chars().count() < 400, "{line}");
    let script = "otto-set -g a 1; mkdir none; subscribe=$(type -p otto-subscribe)
        PATH=$PWD/none exec $subscribe a --from start --exec true";
    let line = place.serve(script).run().refused(1);
    assert!(line.contains("can't run sh"), "{line}");
}

/// However many events wait for a command, or to be printed.
#[test]
fn a_subscriber_looks_at_the_clock_between_events() {
    let place = Place::new();
    let script = "for i in {1..50}; do otto-publish ch $i; done
        exec otto-subscribe ch --from start --timeout 0.1 --exec 'cat >>seen; sleep 0.06'";
    assert!(place.serve(script).run().refused(4).contains("ch"));
    let seen = place.read("seen").lines().count();
    assert!((1..50).contains(&seen), "{seen}");
    // The time is over before a pipe has taken them all, which holds less than 1,500 of these.
    let script = "seq -f '{\"key\":\"k\",\"value\":%g}' 10000 >events; otto-set -g --batch events
        { otto-subscribe k --from start --timeout 0.2 || echo \"status $?\" >&2; } | { sleep 0.6; wc -l; }";
    let finished = place.serve(script).run().ok();
    assert!(finished.stderr.ends_with("status 4\n"), "{}", finished.stderr);
    let printed: u32 = finished.stdout.trim().parse().expect("a number");
    assert!((1..3000).contains(&printed), "{printed}");
    // Without any time it is what is there.
    let script = "for i in {1..9}; do otto-publish ch $i; done
        otto-subscribe ch --from start --timeout 0 || echo \"status $?\"";
    let stdout = place.serve(script).run().ok().stdout;
    assert_eq!((stdout.lines().count(), stdout.lines().last()), (10, Some("status 4")));
    // Who has had as many as wanted is not late.
    let script = "otto-publish ch 1; otto-subscribe ch --from start --timeout 0 --count 1";
    assert!(place.serve(script).run().ok().stdout.contains("\"ch\""));
}

#[test]
fn a_subscriber_ends_with_its_time_and_with_the_run() {
    let place = Place::new();
    let late = place.serve("otto-set -g a 1; exec otto-subscribe b --from start --timeout 0.2");
    assert!(late.run().refused(4).contains('b'));
    let server = Server::start(&place);
    let mut listening =
        server.client("otto-set -g a 1; exec otto-subscribe a --from start").start();
    let _ = listening.line();
    server.stop();
    let ended = listening.finish();
    assert!(ended.took.as_secs() < 8, "an ended run is not waited for: {:?}", ended.took);
    assert!(ended.refused(1).contains("ended"));
}

/// Another server at the same path counts anew: told as a gap, and everything of it comes.
#[test]
fn another_server_in_its_place_is_a_gap() {
    let place = Place::new();
    let serve = "exec otto-serve --socket \"$PWD/s\" --ready-fd 1 -- bash -c \
        'echo up; otto-set -g k 1; read -r line || true'";
    let mut first = place.bash(serve).interactive().start();
    let _ = first.line_where(|line| line == "up");
    let subscribe = "OTTO_SOCKET=$PWD/s exec otto-subscribe '*' --from start";
    let mut listening = place.bash(subscribe).start();
    assert_eq!(listening.line(), r#"{"seq":1,"event":"set","key":"k","value":"1"}"#);
    first.end_input();
    let _ = first.finish().ok();
    let second = place.bash(serve).interactive().start();
    assert_eq!(listening.line(), r#"{"seq":1,"event":"gap","from":2,"to":null}"#);
    assert_eq!(listening.line(), r#"{"seq":1,"event":"set","key":"k","value":"1"}"#);
    listening.signal(Signal::SIGTERM);
    let said = listening.finish().stderr;
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("missing"), "{said}");
    let _ = second.finish().ok();
}

/// As with tail -f, of which `head` takes the first lines only.
#[test]
fn a_reader_that_has_enough_ends_who_waits() {
    let place = Place::new();
    let script = "otto-set -g a 1; otto-progress 1 2 2>&1
        otto-subscribe a --from start | head -1; otto-progress --watch | head -1";
    let out = place.serve(script).run().ok();
    assert!(out.stdout.contains("\"seq\":1") && out.stdout.contains("1/2"), "{}", out.stdout);
}
