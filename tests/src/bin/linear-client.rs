//! One client of the test of linearizability: asks by chance and writes down what it was told.
//!
//! ```text
//! linear-client SOCKET DIALECT PREFIX SEED CALLS FIRST-VALUE END AT
//! ```
//! Starts once its standard input has given a byte. END is `live`; or `sent` or `cut`: then call
//! number AT is its last, sent whole or in part, and it kills itself without reading an answer.
#![allow(missing_docs)]

use nix::sys::signal::{Signal, kill};
use nix::unistd::getpid;
use otto_e2e::Random;
use otto_e2e::linear::history::{answered, asking};
use otto_e2e::linear::model::{Answer, Change, Op};
use otto_e2e::linear::wire::{Dialect, Keys, answer, request};
use std::io::{BufReader, Read, Write};
use std::os::unix::net::UnixStream;

/// Says a line that is out before anything else happens.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).and_then(|()| out.flush()).expect("somebody listens");
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [socket, dialect, prefix, seed, calls, first, end, at] = &arguments[..] else {
        panic!("see the source for the usage");
    };
    let number = |text: &String| text.parse::<u64>().expect("a number");
    let (dialect, keys): (Dialect, _) = (dialect.parse().expect("a dialect"), Keys::new(prefix));
    let mut random = Random(number(seed));
    let stream = UnixStream::connect(socket).expect("the server is there");
    let mut replies = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut stream = stream;
    let mut value = number(first);
    let mut revision = None;
    std::io::stdin().read_exact(&mut [0]).expect("told to begin");
    for call in 0..number(calls) {
        let op = loop {
            let op = choose(&mut random, &mut value, revision);
            if dialect.has(&op) {
                break op;
            }
        };
        let bytes = request(dialect, &keys, &op);
        if call == number(at) && end == "cut" {
            // Nothing may come of it, so it counts as never asked.
            let length = usize::try_from(random.below(bytes.len() as u64)).expect("small");
            stream.write_all(&bytes[..length]).expect("taken");
            die();
        }
        say(&asking(&op));
        stream.write_all(&bytes).expect("taken");
        if call == number(at) && end == "sent" {
            die();
        }
        let answer = answer(dialect, &op, &mut replies).expect("an answer");
        say(&answered(&answer));
        if let Answer::Revision(number, _) = answer {
            revision = Some(number);
        }
    }
}

fn die() {
    kill(getpid(), Signal::SIGKILL).expect("one may kill oneself");
}

fn choose(random: &mut Random, value: &mut u64, revision: Option<u64>) -> Op {
    *value += 1;
    let value = *value;
    let change = match random.below(12) {
        0 | 1 => Change::Set(value),
        2 | 3 => Change::SetIfAbsent(value),
        4 => Change::DeleteText,
        5..7 => Change::Increment(large(random)),
        7 => Change::DeleteNumber,
        8..11 => Change::Append(value),
        _ => Change::DeleteList,
    };
    match random.below(20) {
        0 | 1 => Op::GetText,
        2 => Op::GetNumber,
        3 => Op::GetList,
        4 | 5 => Op::GetAll,
        6 => Op::Pop,
        7 | 8 => Op::GetRevision,
        9 | 10 => revision.map_or(Op::GetRevision, |revision| Op::CompareAndSet(revision, value)),
        11..14 => {
            let condition =
                if random.below(2) == 0 { Change::Set(value) } else { Change::SetIfAbsent(value) };
            let mut parts =
                vec![Change::Increment(large(random)), condition, Change::Append(value)];
            parts.rotate_left(usize::try_from(random.below(3)).expect("small"));
            if random.below(4) == 0 {
                parts.insert(0, Change::DeleteText);
            }
            Op::Batch(parts)
        }
        _ => Op::Do(change),
    }
}

/// Sums of such numbers tell which of them were added.
fn large(random: &mut Random) -> i64 {
    let number = (1 << 40) + random.below(1 << 40).cast_signed();
    if random.below(3) == 0 { -number } else { number }
}
