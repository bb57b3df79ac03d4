//! Events, one after the other, from a connection of their own.

use super::super::binary::status;
use super::super::command::{From, Request};
use super::connection::Connection;
use super::event::Event;
use crate::error::{Error, ErrorKind, Result};
use crate::interrupt;
use crate::json::{Json, members};
use crate::key::Pattern;
use crate::values::{TICK, Tick};
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;
use std::time::{Duration, Instant};

/// How long a server that was lost is looked for.
const RESUME_MAX: Duration = Duration::from_secs(10);

/// A stream of events. It ends with an error: the server's end, its word that this side is too
/// slow, or what a tick returned.
#[derive(Debug)]
pub struct Subscription {
    wire: Connection,
    /// Where it stands among the changes of the run, where it knows.
    place: Option<Place>,
    resuming: bool,
    lost: Option<Lost>,
}

/// What it takes to go on after a lost connection.
#[derive(Debug)]
struct Place {
    pattern: Pattern,
    /// The number of the next change it has not seen.
    next: u64,
    /// What tells the server that gave the number from another one.
    epoch: Json,
}

/// When the connection was lost, and how.
#[derive(Debug)]
struct Lost {
    since: Instant,
    error: Error,
    /// The question whether the server is there, once it is on its way. It outlives a look that is
    /// shorter than the answer takes.
    asked: Option<Asked>,
}

/// A request to subscribe once more, whose reply has not come yet.
#[derive(Debug)]
struct Asked {
    /// Whose numbers were asked for.
    epoch: Json,
}

impl Subscription {
    /// Only what happens from now on.
    pub(super) fn live(wire: Connection) -> Subscription {
        Subscription { wire, place: None, resuming: false, lost: None }
    }

    pub(super) fn replaying(mut wire: Connection, pattern: &Pattern, from: From) -> Result<Self> {
        let deadline = wire.reply_deadline();
        ask(&mut wire, pattern, from)?;
        let (seq, epoch) = answer(&mut wire, deadline, &mut interrupt::check)?;
        let next = match from {
            From::Start => 1,
            From::Now => seq.saturating_add(1),
            From::Seq(seq) => seq,
        };
        let place = Some(Place { pattern: pattern.clone(), next, epoch });
        Ok(Subscription { wire, place, resuming: false, lost: None })
    }

    /// Has a subscription from [`Client::subscribe_from`](super::Client::subscribe_from) outlive
    /// its connection: the server is looked for during ten seconds, and the events go on where
    /// they had stopped, without one that is missing or comes twice. Where the server no longer
    /// has them all, or another has taken its place, an event of the kind [`EventKind::Gap`](super::super::EventKind::Gap) says
    /// so; events of another server come from its first on.
    #[must_use]
    pub fn resuming(mut self, resuming: bool) -> Subscription {
        self.resuming = resuming && self.place.is_some();
        self
    }

    /// The next event; `None` at the deadline, after which the stream goes on.
    ///
    /// # Errors
    /// When the server has gone or disconnected us, or `tick` returned an error.
    pub fn next(&mut self, deadline: Option<Instant>, tick: Tick<'_>) -> Result<Option<Event>> {
        loop {
            if self.lost.is_some() {
                match self.resume(deadline, tick)? {
                    Resumed::Goes => {}
                    Resumed::Elsewhere(gap) => return Ok(Some(gap)),
                    Resumed::NotInTime => return Ok(None),
                }
            }
            let mut stopped = false;
            let mut noticed = || tick().inspect_err(|_| stopped = true);
            let error = match self.wire.receive(deadline, &mut noticed) {
                Ok(received) if received.status == status::EVENT => {
                    let event = Event::parse(received.payload)?;
                    if self.is_new(&event) {
                        return Ok(Some(event));
                    }
                    continue;
                }
                Ok(received) => {
                    let reason = String::from_utf8_lossy(received.payload).into_owned();
                    Error::new(ErrorKind::Unreachable, reason)
                }
                Err(error) if stopped => return Err(error),
                Err(error) if error.kind() == ErrorKind::TimedOut => return Ok(None),
                Err(error) => error,
            };
            if !self.resuming {
                return Err(error);
            }
            self.lost = Some(Lost { since: Instant::now(), error, asked: None });
        }
    }

    /// What to wait for, where a program has an event loop of its own: once it is readable,
    /// [`Subscription::next`] with a deadline that has passed takes what there is. `None` while a
    /// lost server is looked for, which takes a deadline in the future.
    #[must_use]
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.lost.is_none().then(|| self.wire.stream.as_fd())
    }

    /// Notes how far the stream has come; whether `event` is one that has not been seen.
    fn is_new(&mut self, event: &Event) -> bool {
        let Some(place) = &mut self.place else { return true };
        match event.gap {
            Some(gap) => {
                let follows = gap.to.map_or(event.seq, |to| to.saturating_add(1));
                place.next = follows.max(place.next);
            }
            None if event.seq < place.next => return false,
            None => place.next = event.seq.saturating_add(1),
        }
        true
    }

    /// Looks for the server until it is there again.
    fn resume(&mut self, deadline: Option<Instant>, tick: Tick<'_>) -> Result<Resumed> {
        loop {
            let (Some(lost), Some(place)) = (&mut self.lost, &mut self.place) else {
                return Ok(Resumed::Goes);
            };
            let given_up = lost.since + RESUME_MAX;
            let mut stopped = false;
            let mut noticed = || tick().inspect_err(|_| stopped = true);
            let until = deadline.map_or(given_up, |deadline| deadline.min(given_up));
            match place.find(&mut self.wire, &mut lost.asked, until, &mut noticed) {
                Ok(Resumed::NotInTime) => {}
                Ok(found) => {
                    self.lost = None;
                    return Ok(found);
                }
                Err(error) if stopped => return Err(error),
                Err(_) => {}
            }
            let now = Instant::now();
            if now >= given_up {
                let message = format!("{}; it did not come back", lost.error);
                return Err(Error::new(ErrorKind::Unreachable, message));
            }
            let left = until.saturating_duration_since(now);
            if left.is_zero() {
                return Ok(Resumed::NotInTime);
            }
            tick()?;
            thread::sleep(left.min(TICK));
        }
    }
}

/// What became of a subscription that had lost its server.
enum Resumed {
    Goes,
    /// With another server: this is to be told first.
    Elsewhere(Event),
    /// The deadline came first.
    NotInTime,
}

impl Place {
    /// Subscribes once more, on a new connection, or goes on with what was `asked` before.
    fn find(
        &mut self,
        wire: &mut Connection,
        asked: &mut Option<Asked>,
        until: Instant,
        tick: Tick<'_>,
    ) -> Result<Resumed> {
        loop {
            let Asked { epoch: known } = match asked.take() {
                Some(asked) => asked,
                None => self.ask(wire, From::Seq(self.next), self.epoch.clone())?,
            };
            let mut stopped = false;
            let mut noticed = || tick().inspect_err(|_| stopped = true);
            let epoch = match answer(wire, Some(until), &mut noticed) {
                Ok((_, epoch)) => epoch,
                Err(error) => {
                    let late = error.kind() == ErrorKind::TimedOut;
                    if late || stopped {
                        *asked = Some(Asked { epoch: known });
                    }
                    return if late && !stopped { Ok(Resumed::NotInTime) } else { Err(error) };
                }
            };
            if epoch != known {
                // Numbers of another server: all its changes, from the first on.
                *asked = Some(self.ask(wire, From::Start, epoch)?);
            } else if known == self.epoch {
                return Ok(Resumed::Goes);
            } else {
                let gap = Event::of_another_server(self.next);
                (self.epoch, self.next) = (known, 1);
                return Ok(Resumed::Elsewhere(gap));
            }
        }
    }

    fn ask(&self, wire: &mut Connection, from: From, epoch: Json) -> Result<Asked> {
        wire.reopen()?;
        ask(wire, &self.pattern, from)?;
        Ok(Asked { epoch })
    }
}

/// Asks for a subscription.
fn ask(wire: &mut Connection, pattern: &Pattern, from: From) -> Result<()> {
    wire.send(&Request::SubscribeFrom { from, pattern: pattern.as_str() })
}

/// The number of the last change so far and the server's epoch, once the subscription is made.
fn answer(wire: &mut Connection, deadline: Option<Instant>, tick: Tick<'_>) -> Result<(u64, Json)> {
    let reply = wire.receive(deadline, tick)?.of("").json()?;
    let (mut seq, mut epoch) = (None, None);
    for (name, member) in members(reply.as_str())?.0 {
        match name {
            "\"seq\"" => seq = member.parse().ok(),
            "\"epoch\"" => epoch = Some(Json::parse(member)?),
            _ => {}
        }
    }
    seq.zip(epoch).ok_or_else(|| {
        Error::new(ErrorKind::Protocol, "the server does not say where the subscription begins")
    })
}
