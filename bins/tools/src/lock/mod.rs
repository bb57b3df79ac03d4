//! What `otto-lock` does: hold a lock while a command runs, or in the background, or tell who does.

mod background;
mod command;
mod who;

use crate::Done;
use crate::cli::{Arguments, Given, deadline, number};
use otto_core::run::Environment;
use otto_core::socket::Client;
use otto_core::{Error, ErrorKind, Key, Pattern, Result, Tick};
use std::time::{Duration, Instant};

/// How long after its time is over the server may take to say who holds the lock: as long as it may
/// take to say that it is over.
const LAST_REPLY: Duration = Duration::from_secs(1);

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
        let holders = self.holders(client).unwrap_or_default();
        let lock = holders.iter().find(|lock| lock.name == name.as_str());
        let held = lock.map_or(String::new(), |lock| format!("; {}", lock.sentence()));
        Error::new(ErrorKind::TimedOut, format!("timeout: {name}{held}"))
    }

    /// Who holds it. A server that does not answer must not be waited for once more.
    fn holders(&self, client: &mut Client) -> Option<Vec<who::Lock>> {
        let given_up = self.deadline?.checked_add(LAST_REPLY)?;
        let left =
            given_up.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
        client.set_reply_limit(Some(left));
        let locks = client.locks(&Pattern::parse(self.name.as_str()).ok()?).ok()?;
        who::parse(&locks).ok()
    }
}
