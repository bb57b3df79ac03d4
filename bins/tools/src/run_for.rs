//! A command for an event.

use crate::Done;
use crate::foreground::passed_on;
use otto_core::Error;
use otto_core::socket::Event;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Longest text handed on in a variable, in bytes: Linux takes no environment with one of 128 KiB.
const VARIABLE_BYTES_MAX: usize = 100 << 10;

/// Runs `command` (`sh -c`) with the event's JSON on its standard input and in `OTTO_EVENT`, its
/// parts in `OTTO_EVENT_SEQ`, `_KIND`, `_KEY` and `_VALUE`, and returns its exit status. A variable
/// that there is nothing for, or too much, is not set.
///
/// # Errors
/// When there is no `sh`.
pub fn run_for(event: &Event, command: &str) -> Done {
    let value = event
        .value
        .as_ref()
        .map(|value| value.decode_string().unwrap_or_else(|| value.as_str().to_owned()));
    let variables = [
        ("OTTO_EVENT", Some(event.text.clone())),
        ("OTTO_EVENT_SEQ", Some(event.seq.to_string())),
        ("OTTO_EVENT_KIND", Some(event.kind.as_str().to_owned())),
        ("OTTO_EVENT_KEY", Some(event.key.clone())),
        ("OTTO_EVENT_VALUE", value),
    ];
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).stdin(Stdio::piped());
    for (name, text) in variables {
        let fits = |text: &String| text.len() <= VARIABLE_BYTES_MAX && !text.contains('\0');
        match text.filter(fits) {
            Some(text) => shell.env(name, text),
            None => shell.env_remove(name),
        };
    }
    let mut shell = shell.spawn().map_err(|error| Error::io("run", Path::new("sh"), error))?;
    if let Some(mut input) = shell.stdin.take() {
        // A command need not read.
        let _ = input.write_all(format!("{}\n", event.text).as_bytes());
    }
    Ok(passed_on(shell.wait()?))
}
