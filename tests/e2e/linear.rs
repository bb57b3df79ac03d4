//! Sixteen clients at once, some killed in the middle of a request: whatever they are told can be
//! told as one request after the other.

use nix::sys::signal::Signal;
use otto_e2e::linear::checker::{Verdict, check};
use otto_e2e::linear::history::{Call, calls};
use otto_e2e::linear::model::{Answer, Op};
use otto_e2e::linear::wire::Dialect;
use otto_e2e::{Place, Random, Running, Server, figures, seed, times};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const CLIENTS: u64 = 16;
const CALLS: u64 = 24;
/// What somebody asks in every run.
const ASKED: [&str; 11] = [
    "gettext", "getrev", "getlist", "getall", "pop", "cas", "set", "setnx", "incr", "append",
    "batch",
];
/// Far beyond what any round has needed: reaching it is a failure of the test, not of the server.
const STEPS_MAX: usize = 3_000_000;

/// A round: its server, the keys it uses and where its chances come from.
struct Round<'a> {
    place: &'a Place,
    socket: &'a str,
    prefix: String,
    random: Random,
    values: u64,
}

impl Round<'_> {
    /// A client ready to go, that will end by itself as told: at call `at`.
    fn client(&mut self, end: &str, at: u64) -> Running {
        let dialect = Dialect::ALL[self.random.below(3) as usize];
        // A line that is cut may be a whole one: `INCR k 1` of `INCR k 12`. The end of what a client
        // sends also ends its last line, so killing it there is no different from asking for less.
        let end = if dialect == Dialect::Text && end == "cut" { "sent" } else { end };
        self.values += 1000;
        let numbers = [self.random.next(), CALLS, self.values, at].map(|number| number.to_string());
        let [seed, calls, first, at] = &numbers;
        self.place
            .job(env!("CARGO_BIN_EXE_linear-client"))
            .args([self.socket, dialect.name(), &self.prefix, seed, calls, first, end, at])
            .interactive()
            .start()
    }

    /// Lets all clients go, kills some and replaces them, and gives what all of them have seen.
    fn play(mut self) -> Vec<Call> {
        let mut clients: Vec<(Running, Fate)> = (0..CLIENTS)
            .map(|client| {
                let at = self.random.below(CALLS);
                match client {
                    0 | 1 => (self.client("sent", at), Fate::DiesByItself),
                    2 => (self.client("cut", at), Fate::DiesByItself),
                    3..6 => (self.client("live", CALLS), Fate::IsKilled),
                    _ => (self.client("live", CALLS), Fate::Lives),
                }
            })
            .collect();
        for (client, _) in &mut clients {
            client.send("\n");
        }
        let killed = 128 + Signal::SIGKILL as i32;
        let (mut lines, mut living) = (Vec::new(), Vec::new());
        for (mut client, fate) in clients {
            let finished = match fate {
                Fate::Lives => {
                    living.push(client);
                    continue;
                }
                Fate::DiesByItself => client.finish().with_status(killed),
                Fate::IsKilled => {
                    let seen = 1 + self.random.below(2 * CALLS);
                    (0..seen).for_each(|_| drop(client.line()));
                    client.signal(Signal::SIGKILL);
                    client.finish()
                }
            };
            lines.push(finished.stdout);
            let mut next = self.client("live", CALLS);
            next.send("\n");
            living.push(next);
        }
        lines.extend(living.into_iter().map(|client| client.finish().ok().stdout));
        lines.iter().flat_map(|lines| calls(lines)).collect()
    }
}

enum Fate {
    Lives,
    DiesByItself,
    IsKilled,
}

/// One call a line, in the order of their answers.
fn told(calls: &[Call], order: &[usize]) -> String {
    let begin = calls.iter().map(|call| call.asked).min().unwrap_or(0);
    let mut lines: Vec<(u64, String)> = Vec::new();
    for (at, call) in calls.iter().enumerate() {
        let place = order.iter().position(|placed| *placed == at);
        let place = place.map_or_else(|| "-".to_owned(), |place| place.to_string());
        let (end, answer) = match &call.answered {
            Some((end, answer)) => (end - begin, answer.to_string()),
            None => (u64::MAX, "no answer".to_owned()),
        };
        let asked = call.asked - begin;
        lines.push((end, format!("{place:>5} {asked:>12} {end:>20} {} -> {answer}\n", call.op)));
    }
    lines.sort();
    lines.into_iter().fold(String::new(), |all, (_, line)| all + &line)
}

/// The same history, but for one reader of the text who is told what another one was.
fn spoilt(calls: &[Call], mut random: Random) -> Option<Vec<Call>> {
    let mut calls = calls.to_vec();
    let told = |call: &Call| match (&call.op, &call.answered) {
        (Op::GetText, Some((_, answer @ Answer::Number(_)))) => Some(answer.clone()),
        _ => None,
    };
    let readers: Vec<usize> = (0..calls.len()).filter(|at| told(&calls[*at]).is_some()).collect();
    let mut any = || readers.get(random.below(readers.len().max(1) as u64) as usize).copied();
    let (from, to) = (any()?, any()?);
    let lie = told(&calls[from]).filter(|lie| Some(lie) != told(&calls[to]).as_ref())?;
    if let Some((_, answer)) = &mut calls[to].answered {
        *answer = lie;
    }
    Some(calls)
}

#[test]
fn sixteen_clients_see_one_order() {
    let seed = seed();
    let place = Place::new();
    let server = Server::start(&place);
    let socket = server.socket();
    let (mut calls_made, mut unanswered) = (0, 0);
    let mut kinds: BTreeMap<String, u32> = BTreeMap::new();
    let begin = Instant::now();
    let mut checking = Duration::ZERO;
    let mut lies = [0; 2];
    let rounds = times(1000);
    for round in 0..rounds {
        let prefix = format!("round{round}");
        let random = Random(seed ^ (u64::from(round) << 32));
        let played =
            Round { place: &place, socket: &socket, prefix, random: random.clone(), values: 0 };
        let calls = played.play();
        calls_made += calls.len();
        unanswered += calls.iter().filter(|call| call.answered.is_none()).count();
        for call in &calls {
            let name = call.op.to_string();
            let name = name.split([':', '=']).next().unwrap_or_default();
            *kinds.entry(name.to_owned()).or_default() += 1;
        }
        let start = Instant::now();
        match check(&calls, STEPS_MAX) {
            Verdict::Order(_) => {}
            Verdict::None(longest) => panic!(
                "OTTO_SEED={seed}, round {round}: no order explains this; the longest found:\n{}",
                told(&calls, &longest)
            ),
            Verdict::Undecided => panic!("OTTO_SEED={seed}, round {round}: no order found in time"),
        }
        checking += start.elapsed();
        if let Some(spoilt) = spoilt(&calls, random) {
            let accepted = matches!(check(&spoilt, STEPS_MAX), Verdict::Order(_));
            lies[usize::from(accepted)] += 1;
        }
    }
    for name in ASKED {
        assert!(kinds.contains_key(name), "never asked: {name}");
    }
    // A reader that was told something old may have asked at just that time, as a few have.
    assert!(lies[0] > 2 * lies[1], "of {lies:?} lies the second number was believed");
    assert!(unanswered > 0, "nobody was killed in the middle of anything");
    figures(format_args!(
        "kv-linear: seed {seed}, {rounds} rounds of {CLIENTS} clients, {calls_made} calls, \
         {unanswered} of them never answered: an order each; {} of {} lies found; \
         {checking:.1?} of {:.1?} checking",
        lies[0],
        lies[0] + lies[1],
        begin.elapsed()
    ));
    server.stop();
}
