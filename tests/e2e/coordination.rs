//! Locks and barriers between processes, and what becomes of them when those are killed.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use otto_e2e::{Place, Running, Server, wait_for};
use std::fs;

/// A client that has said `line`, as a job of its own that waits for its input to end.
fn holder(server: &Server<'_>, command: &str) -> Running {
    let mut holder = server.client(&format!("exec {command}")).interactive().start();
    assert_eq!(holder.line(), "held");
    holder
}

/// Who holds and how many wait for the lock `db`, as numbers.
fn held_and_waiting(server: &Server<'_>) -> (usize, u64) {
    let locks = server.client("otto-lock --who --json db").run().ok().stdout;
    let locks: serde_json::Value = serde_json::from_str(&locks).expect("JSON");
    let held = locks[0]["holders"].as_array().map_or(0, Vec::len);
    (held, locks[0]["waiting"].as_u64().unwrap_or(0))
}

/// How many wait, at whatever it is.
fn at_barriers(server: &Server<'_>) -> u64 {
    let stats = server.client("echo STATS | nc -NU \"$OTTO_SOCKET\"").run().ok().stdout;
    let stats: serde_json::Value =
        serde_json::from_str(stats.strip_prefix("OK ").unwrap_or(&stats)).expect("JSON");
    stats["waiting"].as_u64().expect("a number")
}

const HOLD: &str = "otto-lock db -- bash -c 'echo held; read -r line'";

#[test]
fn eight_contenders_never_meet() {
    let place = Place::new();
    let script = "for i in 1 2 3 4 5 6 7 8; do
          (for turn in 1 2 3 4 5; do
            otto-lock db -- bash -c 'mkdir inside; echo $OTTO_LOCK_TOKEN >>tokens
              n=$(cat n); echo $((n + 1)) >n; rmdir inside'
          done) & jobs[i]=$!
        done
        for job in \"${jobs[@]}\"; do wait $job; done; cat n";
    place.write("n", "0");
    assert_eq!(place.serve(script).run().ok().stdout, "40\n");
    let tokens = place.read("tokens");
    let tokens: Vec<u64> = tokens.lines().map(|line| line.parse().expect("a number")).collect();
    assert_eq!(tokens.len(), 40);
    assert!(tokens.is_sorted_by(|a, b| a < b), "fencing numbers only grow: {tokens:?}");
}

#[test]
fn locks_are_handed_on_in_the_order_they_were_asked_for() {
    let place = Place::new();
    let server = Server::start(&place);
    let first = holder(&server, HOLD);
    let mut waiting = Vec::new();
    for number in 1..=5 {
        let command = format!("exec otto-lock db -- bash -c 'echo {number} >>order'");
        waiting.push(server.client(&command).start());
        wait_for("it is in the queue", || (held_and_waiting(&server) == (1, number)).then_some(()));
    }
    let _ = first.finish().with_status(1);
    for waiting in waiting {
        let _ = waiting.finish().ok();
    }
    assert_eq!(place.read("order"), "1\n2\n3\n4\n5\n");
    server.stop();
}

#[test]
fn several_slots_let_as_many_in() {
    let place = Place::new();
    let server = Server::start(&place);
    let hold = HOLD.replace("db", "db -n 2");
    let (one, two) = (holder(&server, &hold), holder(&server, &hold));
    assert_eq!(held_and_waiting(&server), (2, 0));
    let line = server.client("exec otto-lock db -n 2 --timeout 0.2 -- true").run().refused(4);
    let (first, second) = (format!("process {}", one.pid()), format!("process {}", two.pid()));
    assert!(line.contains(&first) && line.contains(&second), "{line}");
    let line = server.client("exec otto-lock db -- true").run().refused(1);
    assert!(line.contains('2') && line.contains('1'), "names both numbers of slots: {line}");
    let _ = one.finish();
    let _ = server.client("otto-lock db -n 2 --timeout 10 -- true").run().ok();
    let _ = two.finish();
    server.stop();
}

/// The command inherits the connection, so that it is never without the lock it believes to hold.
#[test]
fn a_killed_wrapper_leaves_the_lock_with_its_command() {
    let place = Place::new();
    let server = Server::start(&place);
    let script = "mkfifo go; otto-lock db -- bash -c 'echo held; read -r line <go; echo ended' &
        echo $!; wait $! || true; echo killed; exec sleep 1000";
    let mut holder = server.client(script).start();
    let wrapper = holder.line_where(|line| line.parse::<i32>().is_ok());
    let mut said = vec![holder.line()];
    kill(Pid::from_raw(wrapper.parse().expect("a number")), Signal::SIGKILL).expect("it is there");
    said.push(holder.line());
    said.sort_unstable();
    assert_eq!(said, ["held", "killed"]);
    let line = server.client("exec otto-lock db --timeout 0.3 -- true").run().refused(4);
    assert!(line.contains("db"), "{line}");
    fs::write(place.path().join("go"), "go\n").expect("somebody reads");
    assert_eq!(holder.line(), "ended");
    let _ = server.client("exec otto-lock db --timeout 30 -- true").run().ok();
    holder.signal_group(Signal::SIGKILL);
    let _ = holder.finish();
    server.stop();
}

#[test]
fn who_is_killed_with_its_command_frees_the_lock_at_once() {
    let place = Place::new();
    let server = Server::start(&place);
    for _ in 0..otto_e2e::times(40) {
        let holder = holder(&server, HOLD);
        holder.signal_group(Signal::SIGKILL);
        let free = server.client("exec otto-lock db --timeout 20 -- true").run().ok();
        assert!(free.took.as_secs() < 5, "{:?}", free.took);
        let _ = holder.finish();
    }
    assert_eq!(held_and_waiting(&server), (0, 0));
    server.stop();
}

/// What the command leaves running must not keep the lock.
#[test]
fn the_end_of_the_command_frees_the_lock() {
    let place = Place::new();
    let script = "otto-lock db -- bash -c 'sleep 1000 >/dev/null 2>&1 & echo $! >left'
        otto-lock db --timeout 10 -- echo free; kill $(cat left)";
    assert_eq!(place.serve(script).run().ok().stdout, "free\n");
}

#[test]
fn statuses_and_signals_of_the_command() {
    let place = Place::new();
    for (command, status) in [
        ("otto-lock db -- bash -c 'exit 7'", 7),
        ("otto-lock db bash -c 'kill -KILL $$'", 128 + 9),
        ("otto-lock db -- /", 126),
        ("otto-lock db -- no-such-program", 127),
    ] {
        let script =
            format!("{command}; status=$?; otto-lock db --timeout 5 -- true; exit $status");
        let script = format!("set +e; {script}");
        let _ = place.serve(&script).run().with_status(status);
    }
    let server = Server::start(&place);
    for signal in [Signal::SIGTERM, Signal::SIGHUP] {
        let holder = holder(&server, "otto-lock db -- bash -c 'echo held; exec sleep 1000'");
        holder.signal(signal);
        let _ = holder.finish().with_status(128 + signal as i32);
    }
    // As from the terminal: the whole group gets it, and the command decides. It waits in the shell
    // itself: a child that has just been forked can miss the signal.
    let decides =
        "otto-lock db -- bash -c 'trap \"kill \\$!; exit 3\" INT; sleep 1000 & echo held; wait'";
    let decides = holder(&server, decides);
    decides.signal_group(Signal::SIGINT);
    let _ = decides.finish().with_status(3);
    assert_eq!(held_and_waiting(&server), (0, 0));
    server.stop();
}

#[test]
fn a_server_that_goes_is_told_of_and_the_command_goes_on() {
    let place = Place::new();
    let server = Server::start(&place);
    let mut holder =
        holder(&server, "otto-lock db -- bash -c 'echo held; read -r line; echo end $line'");
    server.signal(Signal::SIGKILL);
    let _ = server.finish();
    holder.send("of it\n");
    let ended = holder.finish().ok();
    assert_eq!(ended.stdout, "held\nend of it\n");
    let lines: Vec<&str> = ended.stderr.lines().collect();
    assert!(lines.len() <= 1 && ended.stderr.contains("db") == (lines.len() == 1), "{lines:?}");
}

#[test]
fn a_holder_in_the_background_ends_with_whom_it_holds_for() {
    let place = Place::new();
    let server = Server::start(&place);
    let script = "read -r number holder < <(otto-lock db --hold $$); echo $number $holder
        exec 7>stream; read -r line; exec sleep 1000";
    let mut shell = server.client(script).interactive().start();
    let line = shell.line();
    let (number, holder) = line.split_once(' ').expect("two numbers");
    assert!(number.parse::<u64>().is_ok(), "{line}");
    let who = server.client("otto-lock --who").run().ok().stdout;
    assert!(who.contains(holder), "{who}");
    shell.signal_group(Signal::SIGKILL);
    let _ = shell.finish();
    let _ = server.client("otto-lock db --timeout 30 -- true").run().ok();
    wait_for("the holder ends", || {
        fs::metadata(format!("/proc/{holder}/exe")).is_err().then_some(())
    });
    let line = server.client("exec otto-lock db --hold 4194305").run().refused(3);
    assert!(line.contains("4194305"), "{line}");
    server.stop();
}

/// The streams and locks a shell has open are its own to close.
#[test]
fn a_holder_in_the_background_keeps_nothing_open() {
    let place = Place::new();
    let script = "mkfifo stream; cat stream & exec 7>stream
        out=$(otto-lock db --hold $$); exec 7>&-; wait $!; kill ${out#* }; echo ended";
    assert_eq!(place.serve(script).run().ok().stdout, "ended\n");
}

/// A lock of which nobody can know who holds it must not be held.
#[test]
fn what_could_not_be_told_is_not_held() {
    let place = Place::new();
    for out in ["exec 8>/dev/full", "exec 8> >(:); wait $!"] {
        let script = format!(
            "{out}; otto-lock db --hold $$ >&8 || echo \"status $?\"
            otto-lock db --timeout 10 -- echo free"
        );
        let finished = place.serve(&script).run().ok();
        assert_eq!(finished.stdout, "status 1\nfree\n", "{out}: {}", finished.stderr);
        assert_eq!(finished.stderr.lines().count(), 1, "{out}: {}", finished.stderr);
    }
    // Killed when it has the number and can't say it: nobody empties this pipe.
    let script = "mkfifo full; exec 8<>full
        dd if=/dev/zero of=full oflag=nonblock bs=4096 2>/dev/null || true
        otto-lock db --hold $$ >&8 & front=$!
        until otto-lock --who | grep -q db; do :; done
        kill -KILL $front; wait $front 2>/dev/null || echo \"status $?\"
        otto-lock db --timeout 10 -- echo free";
    assert_eq!(place.serve(script).run().ok().stdout, "status 137\nfree\n");
}

/// Its lock ends with the server, or with the process that holds it; the function goes on.
#[test]
fn a_function_is_told_of_a_lock_that_was_lost() {
    let place = Place::new();
    let server = Server::start(&place);
    let script = "source \"$(dirname \"$(type -P otto-lock)\")/../share/otto/otto.sh\"
        f() { echo held; read -r line; echo end $line; }
        otto_lock -n 2 db --timeout 20 -- f; echo again; otto_lock db -- f";
    let mut shell = server.client(script).interactive().start();
    let holder = |name: &str| {
        let locks = server.client(&format!("otto-lock --who --json {name}")).run().ok().stdout;
        let locks: serde_json::Value = serde_json::from_str(&locks).expect("JSON");
        let id = locks[0]["holders"][0]["pid"].as_i64().expect("a process");
        i32::try_from(id).expect("a process")
    };
    // As a zombie it may be there for as long as nobody asks for it.
    let ended = |id: i32| {
        wait_for("the holder ends", || {
            let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
            (stat.is_empty() || stat.contains(") Z ")).then_some(())
        });
    };
    assert_eq!(shell.line(), "held");
    let first = holder("db");
    kill(Pid::from_raw(first), Signal::SIGTERM).expect("it is there");
    ended(first);
    shell.send("one\n");
    assert_eq!([shell.line(), shell.line(), shell.line()], ["end one", "again", "held"]);
    let second = holder("db");
    server.signal(Signal::SIGKILL);
    let _ = server.finish();
    ended(second);
    shell.send("two\n");
    let finished = shell.finish().ok();
    assert!(finished.stdout.ends_with("end two\n"), "{}", finished.stdout);
    let lines: Vec<&str> = finished.stderr.lines().collect();
    let is_told = |line: &&str| line.starts_with("otto_lock: ") && line.contains("the lock db");
    assert!(lines.len() == 2 && lines.iter().all(is_told), "{lines:?}");
}

/// A server that does not answer can't keep anybody beyond the time given.
#[test]
fn a_server_that_stands_still_does_not_hold_up_who_has_a_time_limit() {
    let place = Place::new();
    let server = Server::start(&place);
    let holder = holder(&server, HOLD);
    server.signal(Signal::SIGSTOP);
    for command in [
        "otto-lock db --timeout 0.2 -- true",
        "otto-lock free --timeout 0.2 -- true",
        "otto-lock db --hold $$ --timeout 0.2",
        "otto-subscribe db --timeout 0.2",
        "otto-subscribe db --from start --timeout 0.2",
        "otto-get --wait db --timeout 0.2",
        "otto-barrier db 2 --timeout 0.2",
    ] {
        let within = std::time::Duration::from_secs(30);
        let line = server.client(command).within(within).run().refused(4);
        assert!(line.contains("timeout"), "{command}: {line}");
    }
    server.signal(Signal::SIGCONT);
    let _ = holder.finish();
    server.stop();
}

#[test]
fn nobody_waits_on_for_one_who_was_interrupted() {
    let place = Place::new();
    let server = Server::start(&place);
    let first = holder(&server, HOLD);
    let waiting = server.client("exec otto-lock db --hold $$").start();
    wait_for("it is in the queue", || (held_and_waiting(&server) == (1, 1)).then_some(()));
    waiting.signal(Signal::SIGINT);
    let _ = waiting.finish().with_status(130);
    wait_for("it has left the queue", || (held_and_waiting(&server) == (1, 0)).then_some(()));
    let _ = first.finish();
    server.stop();
}

#[test]
fn a_barrier_opens_when_all_have_come() {
    let place = Place::new();
    let server = Server::start(&place);
    let come = || server.client("exec otto-barrier b 4 --number").start();
    let waiting = |count| wait_for("they wait", || (at_barriers(&server) == count).then_some(()));
    let mut early = vec![come(), come()];
    waiting(2);
    // One that is killed does not count.
    let killed = come();
    waiting(3);
    killed.signal(Signal::SIGKILL);
    let _ = killed.finish();
    waiting(2);
    early.push(come());
    waiting(3);
    let late = server.client("exec otto-barrier c 2 --timeout 0.2").run().refused(4);
    assert!(late.contains('c'), "{late}");
    let last = server.client("exec otto-barrier b 4 --number --timeout 30").run().ok().stdout;
    let mut numbers: Vec<String> = early.into_iter().map(|one| one.finish().ok().stdout).collect();
    numbers.push(last);
    numbers.sort_unstable();
    assert_eq!(numbers, ["1\n", "2\n", "3\n", "4\n"]);
    server.stop();
}
