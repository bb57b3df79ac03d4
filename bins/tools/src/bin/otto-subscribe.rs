//! Prints events, or runs a command for each.

use otto_core::run::Environment;
use otto_core::socket::{Client, EventKind, From};
use otto_core::{Error, ErrorKind, Pattern, Result};
use otto_tools::cli::{self, Arguments, Given, deadline, number};
use otto_tools::{Done, is_unread, print, run_for, say};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How long after `--timeout` a server that does not answer at all is given up, as with other waits.
const LAST_REPLY: Duration = Duration::from_secs(1);

/// Of an event whose command failed.
const SHOWN_CHARACTERS: usize = 200;

fn main() -> ExitCode {
    otto_tools::run(&cli::subscribe::SUBSCRIBE, subscribe)
}

fn subscribe(arguments: &Arguments) -> Done {
    let pattern = Pattern::parse(arguments.text("PATTERN"))?;
    let deadline = deadline(arguments)?;
    let count = arguments.given("count").map_or(Ok(u64::MAX), |count| number("--count", count))?;
    let from = arguments.given("from").map_or(Ok(From::Now), From::parse)?;
    let command = arguments.given("exec");
    let environment = Environment::from_process();
    let socket = environment.socket()?;
    let late = || too_late(format!("no further event of {}", pattern.as_str()));
    let mut client = Client::connect(socket)?;
    client.set_reply_limit(deadline.map(|deadline| {
        deadline.saturating_duration_since(Instant::now()).saturating_add(LAST_REPLY)
    }));
    let mut events = match client.subscribe_from(&pattern, from) {
        Err(error) if error.kind() == ErrorKind::TimedOut => return Err(late()),
        events => events?.resuming(true),
    };
    let at_once = arguments.given("timeout").is_some_and(|seconds| seconds.parse() == Ok(0.0));
    let mut left = count;
    while left > 0 {
        let event = match events.next(deadline, &mut || go_on(socket, command)) {
            // A reader that has had enough is no error.
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(0),
            event => event?,
        };
        let Some(event) = event else { return Err(late()) };
        if event.kind == EventKind::Gap {
            say(&format!("otto-subscribe: events are missing: {}", event.text));
        } else {
            left -= 1;
        }
        match command {
            None => print(format!("{}\n", event.text).as_bytes())?,
            Some(command) => match run_for(&event, command)? {
                0 => {}
                status => {
                    let text = shortened(&event.text);
                    say(&format!("otto-subscribe: status {status} of the command for {text}"));
                    return Ok(status);
                }
            },
        }
        // While events come one after the other, nobody waits for the next, or looks at the clock.
        // Without any time it is what is there that is asked for.
        if left > 0 && !at_once && deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Err(too_late(format!("no more events of {} are taken", pattern.as_str())));
        }
    }
    Ok(0)
}

fn too_late(what: String) -> anyhow::Error {
    Error::new(ErrorKind::TimedOut, format!("timeout: {what}")).into()
}

/// As much of an event as a line of error has room for.
fn shortened(event: &str) -> String {
    match event.char_indices().nth(SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{}...", &event[..end]),
        None => event.to_owned(),
    }
}

/// Whether to wait on. A server that was lost is looked for, but not when its run has ended, which
/// removes its folder.
fn go_on(socket: &Path, command: Option<&str>) -> Result<()> {
    if command.is_none() && is_unread() {
        return Err(Error::new(ErrorKind::Interrupted, "nobody reads"));
    }
    if socket.parent().is_none_or(Path::exists) {
        return Ok(());
    }
    let message = format!("lost the server at {}: the run has ended", socket.display());
    Err(Error::new(ErrorKind::Unreachable, message))
}
