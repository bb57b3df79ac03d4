//! What stands between the producers and the consumers of streams.
//!
//! A source is what a producer writes, a sink what a consumer reads. Every sink connected to a
//! source gets all its bytes, or some of its records where those are [sharded](Delivery::Shard); a
//! sink of several sources gets them line by line, never mixed within a line.
//!
//! Where nobody has to see the bytes, they pass from pipe to pipe as pages ([`pages`]); elsewhere
//! through memory ([`window`]), of each source at most
//! [`RELAY_BUFFER_BYTES`](crate::limits::RELAY_BUFFER_BYTES) ahead of its slowest sink: the slowest
//! consumer sets the pace. Only where tasks wait for each other ([`stall`]) an edge is led over the
//! disk ([`spill`]).

mod control;
mod edge;
mod pages;
mod sink;
mod source;
mod spill;
mod stall;
mod states;
mod tap;
mod turn;
mod window;

pub use control::{Control, EdgeState, Motion};
pub use source::Delivery;
pub use spill::{Quota, Spill};
pub use stall::Stall;
pub use tap::Sampling;

use crate::error::{Error, ErrorKind, Result};
use control::Shared;
use edge::Edge;
use nix::sys::eventfd::EventFd;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use sink::Sink;
use source::Source;
use stall::Watch;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tap::Tap;

/// Turns closer together than this are busy ones:
const BUSY: Duration = Duration::from_micros(200);
/// after one, more may gather before the next. Without this a relay costs a third of a stream's
/// throughput, and of a fast one with small records more.
const PAUSE: Duration = Duration::from_micros(100);

/// A producer's end, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SourceId(usize);

/// A consumer's end, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SinkId(usize);

/// What happened on the way.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// Nobody writes this source any more; its last records may still be on their way. Or all its
    /// sinks have gone, and whoever writes it is told so by the kernel.
    Closed(SourceId),
    /// The source is closed, and all it carried has reached its sinks.
    Drained(SourceId),
    /// A sink's reader has gone: it gets nothing more.
    Gone(SinkId),
    /// A sink can't be written, as a file on a full disk can't: it gets nothing more of these.
    Failed(Vec<SourceId>, Error),
    /// What a sink does not take from a source goes to the disk until it does.
    Spilling(SourceId, SinkId),
    /// Tasks wait for each other, for ten seconds or more, and nothing more may be spilled.
    Stalled(Stall),
}

/// Sources, sinks and who is connected to whom.
///
/// ```
/// use otto_core::fifo::{Relay, pipe};
/// use std::io::{Read, Write};
/// let (a, b, out) = (pipe().unwrap(), pipe().unwrap(), pipe().unwrap());
/// let mut relay = Relay::new();
/// let sources = [relay.source(a.read).unwrap(), relay.source(b.read).unwrap()];
/// let sink = relay.sink(out.write).unwrap();
/// sources.map(|source| relay.connect(source, sink));
/// std::fs::File::from(a.write).write_all(b"from a\n").unwrap();
/// std::fs::File::from(b.write).write_all(b"from b\n").unwrap();
/// let stop = pipe().unwrap();
/// relay.run(&stop.read, |_| {}).unwrap();
/// let mut text = String::new();
/// std::fs::File::from(out.read).read_to_string(&mut text).unwrap();
/// assert_eq!(text, "from a\nfrom b\n");
/// ```
#[derive(Debug, Default)]
pub struct Relay {
    sources: Vec<Source>,
    sinks: Vec<Sink>,
    /// The sinks of each source.
    routes: Vec<Vec<usize>>,
    taps: Vec<Tap>,
    spill: Option<Spill>,
    shared: Option<Arc<Shared>>,
    /// Readable while other threads ask for something.
    wake: Option<Arc<EventFd>>,
    /// Where pages go that all have taken.
    nowhere: Option<OwnedFd>,
    /// Read from the disk.
    scratch: Vec<u8>,
    /// The sink whose turn comes first, so that none is always last.
    first: usize,
}

impl Relay {
    /// Without any source or sink yet.
    #[must_use]
    pub fn new() -> Relay {
        Relay::default()
    }

    /// Adds what a producer writes: the reading end of a pipe.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when the descriptor can't be read without waiting.
    pub fn source(&mut self, from: OwnedFd) -> Result<SourceId> {
        nonblocking(&from)?;
        self.sources.push(Source::new(from));
        self.routes.push(Vec::new());
        Ok(SourceId(self.sources.len() - 1))
    }

    /// Adds what a consumer reads: the writing end of a pipe, or a file.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when the descriptor can't be written without waiting.
    pub fn sink(&mut self, to: OwnedFd) -> Result<SinkId> {
        nonblocking(&to)?;
        self.sinks.push(Sink::new(to));
        Ok(SinkId(self.sinks.len() - 1))
    }

    /// What comes from `source` goes to `sink`.
    pub fn connect(&mut self, source: SourceId, sink: SinkId) {
        self.routes[source.0].push(sink.0);
        self.sinks[sink.0].connect(source.0, 0);
    }

    /// Whether every sink of `source` gets every record, as at first, or one of them each.
    ///
    /// ```
    /// use otto_core::fifo::{Delivery, Relay, pipe};
    /// use std::io::{Read, Write};
    /// let (from, a, b) = (pipe().unwrap(), pipe().unwrap(), pipe().unwrap());
    /// let mut relay = Relay::new();
    /// let source = relay.source(from.read).unwrap();
    /// for to in [a.write, b.write] {
    ///     let sink = relay.sink(to).unwrap();
    ///     relay.connect(source, sink);
    /// }
    /// relay.set_delivery(source, Delivery::Shard);
    /// std::fs::File::from(from.write).write_all(b"one\ntwo\n").unwrap();
    /// let stop = pipe().unwrap();
    /// relay.run(&stop.read, |_| {}).unwrap();
    /// let mut texts = [String::new(), String::new()];
    /// std::fs::File::from(a.read).read_to_string(&mut texts[0]).unwrap();
    /// std::fs::File::from(b.read).read_to_string(&mut texts[1]).unwrap();
    /// assert_eq!(texts, ["one\n", "two\n"]);
    /// ```
    pub fn set_delivery(&mut self, source: SourceId, delivery: Delivery) {
        self.sources[source.0].set_delivery(delivery);
    }

    /// Lets edges go over the disk where streams would otherwise wait for each other for ever.
    pub fn spill(&mut self, spill: Spill) {
        self.spill = Some(spill);
    }

    /// A hold on this relay for other threads.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when no more descriptors are allowed.
    pub fn control(&mut self) -> Result<Control> {
        if let Some(shared) = &self.shared {
            return Ok(Control::new(Arc::clone(shared)));
        }
        let (shared, wake) = Shared::new().map_err(|errno| {
            Error::new(ErrorKind::Io, format!("can't make an eventfd: {}", errno.desc()))
        })?;
        (self.shared, self.wake) = (Some(Arc::clone(&shared)), Some(wake));
        Ok(Control::new(shared))
    }

    /// Passes on what comes until every source is drained, or until `stop` is readable or its
    /// other end closed. Sinks are closed as soon as nothing more can come for them.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when waiting for the descriptors fails.
    pub fn run(mut self, stop: impl AsFd, mut on_event: impl FnMut(Event)) -> Result<()> {
        let result = self.run_on(&stop, &mut on_event);
        if let Some(shared) = &self.shared {
            shared.end(self.states());
        }
        result
    }

    fn run_on(&mut self, stop: &impl AsFd, on_event: &mut impl FnMut(Event)) -> Result<()> {
        self.prepare();
        let mut watch = Watch::new();
        let mut last_turn = None;
        loop {
            self.answer(&mut watch);
            let moved = self.turn();
            let settled = self.settle(on_event);
            let is_held = self.sinks.iter().any(Sink::is_held);
            if self.sources.iter().all(Source::is_drained) && !is_held && self.taps.is_empty() {
                return Ok(());
            }
            let now = Instant::now();
            if moved {
                watch.moved(now);
            } else if self.look(&mut watch, now, on_event) {
                continue;
            }
            let timeout = if moved || settled {
                Some(Duration::ZERO)
            } else {
                // Also where it is not this sink's turn to take what there is for it.
                let has_more = |edge: &Edge| edge.has_more(&self.sources[edge.source]);
                let waits = |sink: &Sink| sink.is_full || sink.edges.iter().any(has_more);
                let mut open = self.sinks.iter().filter(|sink| sink.is_open() && !sink.is_held());
                let is_waiting = open.any(waits);
                is_waiting.then(|| watch.due().saturating_duration_since(now))
            };
            if moved
                && !self.sources.iter().any(Source::is_sharded)
                && last_turn.is_some_and(|last| now.duration_since(last) < BUSY)
            {
                std::thread::sleep(PAUSE);
            }
            if self.wait(stop, timeout)? {
                return Ok(());
            }
            last_turn = moved.then(Instant::now);
        }
    }

    /// What follows from who is connected to whom.
    fn prepare(&mut self) {
        for (place, source) in self.sources.iter().enumerate() {
            if source.is_sharded() {
                for &sink in &self.routes[place] {
                    self.sinks[sink].shrink();
                }
            }
        }
        // Without it nothing goes to several as pages.
        let flags = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::CLOEXEC;
        self.nowhere = rustix::fs::open("/dev/null", flags, rustix::fs::Mode::empty()).ok();
    }

    /// Waits until something can be done; whether it is to stop.
    fn wait(&mut self, stop: &impl AsFd, timeout: Option<Duration>) -> Result<bool> {
        let mut fds = vec![PollFd::new(stop, PollFlags::IN)];
        let mut owners = vec![Owner::Stop];
        if let Some(wake) = &self.wake {
            fds.push(PollFd::from_borrowed_fd(wake.as_fd(), PollFlags::IN));
            owners.push(Owner::Control);
        }
        for (place, source) in self.sources.iter().enumerate() {
            if let Some((fd, events)) = source.wants() {
                fds.push(PollFd::from_borrowed_fd(fd, events));
                owners.push(Owner::Source(place));
            }
        }
        for (place, sink) in self.sinks.iter().enumerate() {
            if let Some(fd) = sink.fd() {
                let events = if sink.is_full { PollFlags::OUT } else { PollFlags::empty() };
                fds.push(PollFd::from_borrowed_fd(fd, events));
                owners.push(Owner::Sink(place));
            }
        }
        for (place, tap) in self.taps.iter().enumerate() {
            let (fd, events) = tap.wants();
            fds.push(PollFd::from_borrowed_fd(fd, events));
            owners.push(Owner::Tap(place));
        }
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: timeout.as_secs() as i64,
            tv_nsec: i64::from(timeout.subsec_nanos()),
        });
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(false),
            Err(errno) => {
                let message = format!("can't wait for streams: {errno}");
                return Err(Error::new(ErrorKind::Io, message));
            }
        }
        let woken: Vec<(Owner, PollFlags)> = fds
            .iter()
            .zip(owners)
            .map(|(fd, owner)| (owner, fd.revents()))
            .filter(|(_, events)| !events.is_empty())
            .collect();
        for (owner, events) in woken {
            match owner {
                Owner::Stop => return Ok(true),
                Owner::Control => {}
                Owner::Source(place) => self.sources[place].woke(events),
                Owner::Sink(place) => self.sinks[place].woke(events, &mut self.sources),
                Owner::Tap(place) => self.taps[place].woke(events),
            }
        }
        Ok(false)
    }
}

#[derive(Debug, Clone, Copy)]
enum Owner {
    Stop,
    Control,
    Source(usize),
    Sink(usize),
    Tap(usize),
}

fn nonblocking(fd: &OwnedFd) -> Result<()> {
    super::pipe::set_nonblocking(fd, true).map_err(|errno| {
        Error::new(ErrorKind::Io, format!("can't prepare a stream: {}", errno.desc()))
    })
}

#[cfg(test)]
mod tests;
