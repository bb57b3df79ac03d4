//! Concurrent reads, writes and increments of one document are linearizable: each takes effect at
//! one moment between its call and its return. Histories of several processes are recorded and
//! searched for an order that explains every result.

use crate::roles::{Random, Report, assigned, figures, scaled, start};
use crate::{own_run, task};
use nix::time::{ClockId, clock_gettime};
use otto_core::Json;
use otto_core::region::{Document, SIZE_DEFAULT};
use otto_core::run::RunId;
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::Instant;

/// What a client did, and what it was told or told others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    /// Found this number; 0 in an empty document.
    Read(u64),
    Write(u64),
    /// Added one to the number; the sum was this.
    Increment(u64),
}

#[derive(Clone, Copy, Debug)]
struct Call {
    called: u64,
    returned: u64,
    operation: Operation,
}

/// Whether the calls, at most 128, have an order that explains them, beginning with `initial`.
fn is_linearizable(calls: &[Call], initial: u64) -> bool {
    assert!(calls.len() <= 128);
    // Depth first over the sets of calls that may have come first, each with the number they left.
    let mut seen = HashSet::new();
    let mut open = vec![(0_u128, initial)];
    while let Some((done, number)) = open.pop() {
        let left = || calls.iter().enumerate().filter(|(at, _)| done >> at & 1 == 0);
        // What returned before another was called comes before it.
        let Some(first_return) = left().map(|(_, call)| call.returned).min() else { return true };
        for (at, call) in left().filter(|(_, call)| call.called <= first_return) {
            let next = match call.operation {
                Operation::Read(found) if found == number => number,
                Operation::Write(written) => written,
                Operation::Increment(sum) if sum == number + 1 => sum,
                _ => continue,
            };
            let state = (done | 1 << at, next);
            if seen.insert(state) {
                open.push(state);
            }
        }
    }
    false
}

/// Calls of one client after another, a tick each, unless they say otherwise.
fn history(calls: &[(u64, u64, Operation)]) -> Vec<Call> {
    let call = |&(called, returned, operation)| Call { called, returned, operation };
    calls.iter().map(call).collect()
}

#[test]
fn the_checker_tells_good_histories_from_bad() {
    use Operation::{Increment, Read, Write};
    let good = [
        history(&[]),
        history(&[(0, 1, Read(0)), (2, 3, Write(5)), (4, 5, Read(5)), (6, 7, Increment(6))]),
        // While a write is on its way it may be seen or not.
        history(&[(0, 9, Write(5)), (1, 2, Read(0)), (3, 4, Read(5))]),
        history(&[(0, 9, Increment(2)), (0, 9, Increment(1)), (0, 9, Increment(3))]),
    ];
    for calls in good {
        assert!(is_linearizable(&calls, 0), "{calls:?}");
    }
    let bad = [
        // Old after new.
        history(&[(0, 9, Write(5)), (1, 2, Read(5)), (3, 4, Read(0))]),
        // Stale after the write has returned.
        history(&[(0, 1, Write(5)), (2, 3, Read(0))]),
        // A lost increment.
        history(&[(0, 9, Increment(1)), (0, 9, Increment(1))]),
        history(&[(0, 9, Write(5)), (0, 9, Increment(1)), (10, 11, Read(1)), (12, 13, Read(5))]),
        history(&[(0, 1, Read(7))]),
    ];
    for calls in bad {
        assert!(!is_linearizable(&calls, 0), "{calls:?}");
    }
}

/// Nanoseconds on a clock that all processes share.
fn now() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap();
    time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
}

/// Small enough for one page, or larger than what small documents get by with.
fn object(n: u64, large: bool) -> String {
    format!(r#"{{"n":{n},"pad":"{}"}}"#, "x".repeat(if large { 9000 } else { (n % 50) as usize }))
}

fn number_in(json: &[u8]) -> u64 {
    if json.is_empty() {
        return 0;
    }
    let text = std::str::from_utf8(json).unwrap();
    let n = text.strip_prefix(r#"{"n":"#).unwrap().split_once(',').unwrap().0.parse().unwrap();
    assert!(text == object(n, false) || text == object(n, true), "torn");
    n
}

const CLIENTS: u64 = 4;
const CALLS: u64 = 16;

/// Increments that others' writes can fall into.
fn increment_badly(document: &mut Document, large: bool) -> u64 {
    let sum = number_in(&document.read().unwrap()) + 1;
    // On a busy machine the others hardly ever come in between by themselves.
    thread::yield_now();
    document.write(object(sum, large).as_bytes()).unwrap();
    sum
}

fn increment(document: &mut Document, large: bool) -> u64 {
    let sum = document.update(|found| {
        let sum = match found.get("n") {
            Some(n) => n.as_str().parse::<u64>().unwrap() + 1,
            None => 1,
        };
        let filler = "x".repeat(if large { 9000 } else { (sum % 50) as usize });
        found.set("n", Json::number(sum as i64));
        found.set("pad", Json::string(&filler));
        Ok(sum)
    });
    sum.unwrap()
}

/// Round after round uses the document of that name, and writes down what it did.
#[test]
fn role_client() {
    let Some((place, run)) = assigned("linear::role_client") else { return };
    let (name, how) = place.file_name().unwrap().to_str().unwrap().split_once('.').unwrap();
    let number: u64 = name.parse().unwrap();
    let (report, go) = (Report::at(&place), Report::at(&place.with_file_name("go")));
    let mut log = File::create(place.with_extension("log")).unwrap();
    let mut random = Random(number + 1);
    for round in 1.. {
        go.wait_above(round - 1);
        let mut document = Document::open(RunId(run), &task(&format!("t{round}"))).unwrap();
        let mut lines = String::new();
        for call in 0..CALLS {
            let large = random.below(3) == 0;
            let written = (number * CALLS + call + 1) * 1_000_000;
            let (kind, called) = (random.below(4), now());
            let (kind, value) = match kind {
                0 => {
                    document.write(object(written, large).as_bytes()).unwrap();
                    ("write", written)
                }
                1 if how == "badly" => ("increment", increment_badly(&mut document, large)),
                1 => ("increment", increment(&mut document, large)),
                _ => ("read", number_in(document.snapshot().unwrap())),
            };
            lines += &format!("{round} {called} {} {kind} {value}\n", now());
        }
        log.write_all(lines.as_bytes()).unwrap();
        report.set(round);
    }
}

/// The calls of each round of `folder`'s logs.
fn recorded(folder: &Path) -> HashMap<u64, Vec<Call>> {
    let mut rounds: HashMap<u64, Vec<Call>> = HashMap::new();
    for client in 0..CLIENTS {
        let log =
            fs::read_to_string(folder.join(client.to_string()).with_extension("log")).unwrap();
        for line in log.lines() {
            let fields: Vec<&str> = line.split(' ').collect();
            let number = |at: usize| fields[at].parse::<u64>().unwrap();
            let operation = match fields[3] {
                "read" => Operation::Read(number(4)),
                "write" => Operation::Write(number(4)),
                _ => Operation::Increment(number(4)),
            };
            let call = Call { called: number(1), returned: number(2), operation };
            rounds.entry(number(0)).or_default().push(call);
        }
    }
    rounds
}

/// Records `rounds` histories; returns those that no order explains, and how many there are.
fn violations(how: &str, rounds: u64) -> (Vec<Vec<Call>>, usize) {
    let own = own_run();
    let run = own.run.id();
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let go = Report::at(&folder.path().join("go"));
    let place = |client: u64| folder.path().join(format!("{client}.{how}"));
    let mut clients: Vec<_> =
        (0..CLIENTS).map(|client| start("linear::role_client", &place(client), run.0)).collect();
    for round in 1..=rounds {
        let name = format!("t{round}");
        drop(Document::create(run, &task(&name), SIZE_DEFAULT).unwrap());
        go.set(round);
        for (client, number) in clients.iter_mut().zip(0..) {
            let done = Report::at(&place(number)).rises_above(round - 1, client);
            assert!(done, "a client has failed");
        }
        Document::remove(run, &task(&name)).unwrap();
    }
    for client in &mut clients {
        client.kill().unwrap();
        client.wait().unwrap();
    }
    let histories = recorded(folder.path());
    let count = histories.len();
    let bad = histories.into_values().filter(|calls| !is_linearizable(calls, 0)).collect();
    (bad, count)
}

#[test]
fn documents_are_linearizable() {
    let start = Instant::now();
    let rounds = scaled(100, 2000);
    let (bad, count) = violations("well", rounds);
    figures(format_args!(
        "linear-region: {count} histories of {} calls, {} violations, {:?}",
        CLIENTS * CALLS,
        bad.len(),
        start.elapsed()
    ));
    assert_eq!(count, rounds as usize);
    assert!(bad.is_empty(), "{} of {count}, one: {:#?}", bad.len(), bad[0]);
}

#[test]
fn increments_without_a_lock_are_found_out() {
    let found = (0..20).any(|_| !violations("badly", 50).0.is_empty());
    assert!(found, "1000 histories, and all of them explained");
}
