//! Operations as JSON lines, for `otto-set --batch`.

use anyhow::Context;
use otto_core::limits::FRAME_BYTES_MAX;
use otto_core::run::Environment;
use otto_core::socket::{Client, Operation};
use otto_core::{Error, ErrorKind, Json, Object, Result};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The operations of a batch, and the line of each.
#[derive(Debug)]
pub struct Batch {
    operations: Vec<Operation>,
    /// Empty lines count, too: these are what an editor shows.
    lines: Vec<usize>,
}

impl Batch {
    /// Has the server carry it out.
    ///
    /// # Errors
    /// Why it does not, which names the line that the server knows as an operation's number.
    pub fn carry_out(&self, client: &mut Client) -> Result<()> {
        let Err(error) = client.batch(&self.operations) else { return Ok(()) };
        let message = error.to_string();
        let numbered = message.strip_prefix("operation ").and_then(|rest| rest.split_once(": "));
        let line = numbered.and_then(|(number, what)| {
            let at = number.parse::<usize>().ok()?.checked_sub(1)?;
            Some((self.lines.get(at)?, what))
        });
        Err(match line {
            Some((line, what)) => Error::new(error.kind(), format!("{}: {what}", of_line(*line))),
            None => error,
        })
    }
}

fn of_line(line: usize) -> String {
    format!("line {line} of the batch")
}

/// Reads the operations of the file `name`, `-` for standard input. Their keys are this task's, or
/// taken as they stand with `global`, as `otto-set` does with its own.
///
/// # Errors
/// When it can't be read, or a line is no operation, which is named by its number.
pub fn read_batch(name: &str, environment: &Environment, global: bool) -> anyhow::Result<Batch> {
    let limit = FRAME_BYTES_MAX as u64;
    let mut text = String::new();
    let shown = if name == "-" { "standard input" } else { name };
    let unreadable = |error| Error::io("read", Path::new(shown), error);
    let read = match name {
        "-" => std::io::stdin().lock().take(limit + 1).read_to_string(&mut text),
        path => File::open(path)
            .map_err(|error| Error::io("open", Path::new(path), error))?
            .take(limit + 1)
            .read_to_string(&mut text),
    };
    if read.map_err(unreadable)? as u64 > limit {
        let message = format!("{shown} holds more than {limit} bytes: make it several batches");
        return Err(Error::new(ErrorKind::TooLarge, message).into());
    }
    let mut batch = Batch { operations: Vec::new(), lines: Vec::new() };
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let operation = operation(line, environment, global);
        batch.operations.push(operation.with_context(|| of_line(at + 1))?);
        batch.lines.push(at + 1);
    }
    Ok(batch)
}

fn operation(line: &str, environment: &Environment, global: bool) -> Result<Operation> {
    let operation = Operation::parse(line)?;
    // Checked, so the key is there.
    let mut members = Object::parse(line.as_bytes())?;
    let name = members.get("key").and_then(Json::decode_string).unwrap_or_default();
    let key = environment.own_key(&name, global)?;
    if key.as_str() == name {
        return Ok(operation);
    }
    members.set("key", Json::string(key.as_str()));
    Operation::parse(&String::from_utf8_lossy(&members.to_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_the_tasks_own_unless_global() {
        let environment = Environment { task_name: Some("build".into()), ..Environment::default() };
        let line = "{\"value\": 1.10, \"key\": \"\\u0061.b\"}";
        let text = |global| operation(line, &environment, global).unwrap().to_json();
        assert_eq!(text(false), r#"{"value":1.10,"key":"build.a.b"}"#);
        assert_eq!(text(true), r#"{"value":1.10,"key":"\u0061.b"}"#);
        for bad in ["[]", "{\"key\":\"a b\",\"value\":1}", "{\"key\":\"a\"}", "{}", "x"] {
            assert!(operation(bad, &environment, true).is_err(), "{bad}");
        }
    }
}
