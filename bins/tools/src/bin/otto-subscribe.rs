//! Prints events.

use otto_core::run::Environment;
use otto_core::socket::Client;
use otto_core::{Error, ErrorKind, Pattern};
use otto_tools::cli::{self, Arguments, Given, deadline, number};
use otto_tools::{Done, print};
use std::process::ExitCode;

fn main() -> ExitCode {
    otto_tools::run(&cli::subscribe::SUBSCRIBE, subscribe)
}

fn subscribe(arguments: &Arguments) -> Done {
    let pattern = Pattern::parse(arguments.text("PATTERN"))?;
    let deadline = deadline(arguments)?;
    let count = arguments.given("count").map_or(Ok(u64::MAX), |count| number("--count", count))?;
    if let Some(from) = arguments.given("from").filter(|from| *from != "now") {
        let message = format!("--from {from}: events of the past are not kept yet; leave it off");
        return Err(Error::new(ErrorKind::Usage, message).into());
    }
    let client = Client::connect(Environment::from_process().socket()?)?;
    let mut events = client.subscribe(&pattern)?;
    for _ in 0..count {
        match events.next(deadline, &mut || Ok(()))? {
            Some(event) => print(format!("{}\n", event.text).as_bytes())?,
            None => {
                let message = format!("timeout: no further event of {}", pattern.as_str());
                return Err(Error::new(ErrorKind::TimedOut, message).into());
            }
        }
    }
    Ok(0)
}
