//! What `otto-lock` does: hold a lock while a command runs, or in the background, or tell who does.

mod background;
mod command;
mod who;

use crate::Done;
use crate::cli::{Arguments, Given, deadline, number};
use otto_core::run::Environment;
use otto_core::socket::Client;
use otto_core::{Error, ErrorKind, Key, Pattern, Result, Tick};
use std::time::Instant;

/// Does what the command line says.
///
/// # Errors
/// Whatever ends it: one line to say, and an exit status.
pub fn run(arguments: &Arguments) -> Done {
    if arguments.flag("who") {
        return who::run(arguments);
    }
    if arguments.flag("json") {
        let message = "--json goes with --who, which tells who holds a lock";
        return Err(Error::new(ErrorKind::Usage, message).into());
    }
    let wanted = Wanted::of(arguments)?;
    match arguments.given("hold") {
        Some(process) => background::run(&wanted, number("--hold", process)?),
        None => command::run(&wanted, arguments.rest()),
    }
}

/// The lock that is asked for.
struct Wanted {
    name: Key,
    slots: u32,
    deadline: Option<Instant>,
}

impl Wanted {
    fn of(arguments: &Arguments) -> Result<Wanted> {
        let name = Key::parse(arguments.text("NAME"))?;
        let slots = arguments.given("slots").map_or(Ok(1), |text| number("-n", text))?;
        if slots == 0 {
            let message = "-n 0: nobody could ever hold it; give 1 or more";
            return Err(Error::new(ErrorKind::Usage, message));
        }
        Ok(Wanted { name, slots, deadline: deadline(arguments)? })
    }

    /// A connection that holds the lock, and the fencing number.
    fn take(&self, tick: Tick<'_>) -> Result<(Client, u64)> {
        let mut client = Client::connect(Environment::from_process().socket()?)?;
        match client.lock(&self.name, self.slots, self.deadline, tick) {
            Ok(token) => Ok((client, token)),
            Err(error) if error.kind() == ErrorKind::TimedOut => Err(self.late(&mut client)),
            Err(error) => Err(error),
        }
    }

    fn late(&self, client: &mut Client) -> Error {
        let name = &self.name;
        let locks = Pattern::parse(name.as_str()).and_then(|name| client.locks(&name));
        let holders = locks.and_then(|locks| who::parse(&locks)).unwrap_or_default();
        let lock = holders.iter().find(|lock| lock.name == name.as_str());
        let held = lock.map_or(String::new(), |lock| format!("; {}", lock.sentence()));
        Error::new(ErrorKind::TimedOut, format!("timeout: {name}{held}"))
    }
}
