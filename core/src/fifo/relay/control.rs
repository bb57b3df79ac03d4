//! Speaking to a relay from other threads.

use super::tap::Sampling;
use super::{SinkId, SourceId};
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::os::fd::OwnedFd;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// A relay answers between two turns.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// What moves along an edge, from one source to one sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeState {
    /// Where it comes from.
    pub source: SourceId,
    /// Where it goes.
    pub sink: SinkId,
    /// Bytes the sink has taken.
    pub bytes: u64,
    /// Records the sink has taken, if all of them passed through memory.
    pub records: Option<u64>,
    /// Bytes on their way: in the producer's pipe, in the relay, on disk and, for a sink of one
    /// source, in the consumer's pipe.
    pub queued: u64,
    /// Bytes of these on disk.
    pub spilled: u64,
    /// Who waits for whom.
    pub motion: Motion,
}

/// Who waits for whom along an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Motion {
    /// Nobody waits.
    Flowing,
    /// The consumer has taken all there is and waits for the producer.
    Starved,
    /// The producer waits for the consumer to take something.
    Full,
    /// Nothing more comes.
    Ended,
}

/// What is asked of a relay.
#[derive(Debug)]
pub(super) enum Request {
    Edges(mpsc::Sender<Vec<EdgeState>>),
    Fail { source: usize, told: Vec<usize> },
    Leave(usize),
    Tap { sources: Vec<usize>, sampling: Sampling, to: OwnedFd },
    WaitedFor(bool),
}

/// A hold on a relay, for any thread, also while it runs and after its end.
///
/// ```
/// use otto_core::fifo::{Motion, Relay, pipe};
/// use std::io::Write;
/// let (from, to) = (pipe().unwrap(), pipe().unwrap());
/// let mut relay = Relay::new();
/// let (source, sink) = (relay.source(from.read).unwrap(), relay.sink(to.write).unwrap());
/// relay.connect(source, sink);
/// let control = relay.control().unwrap();
/// std::fs::File::from(from.write).write_all(b"one\n").unwrap();
/// let stop = pipe().unwrap();
/// relay.run(&stop.read, |_| {}).unwrap();
/// let edges = control.edges();
/// assert_eq!((edges[0].bytes, edges[0].motion), (4, Motion::Ended));
/// ```
#[derive(Debug, Clone)]
pub struct Control(Arc<Shared>);

#[derive(Debug)]
pub(super) struct Shared {
    mail: Mutex<Mail>,
    /// Gone with the relay: who holds on to it after its end holds no descriptor.
    wake: Weak<EventFd>,
}

#[derive(Debug, Default)]
struct Mail {
    requests: Vec<Request>,
    /// How all edges stood at the end.
    ended: Option<Vec<EdgeState>>,
}

impl Shared {
    /// With it what is readable while there are requests, for the relay to hold.
    pub(super) fn new() -> nix::Result<(Arc<Shared>, Arc<EventFd>)> {
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        let wake = Arc::new(wake);
        let shared = Shared { mail: Mutex::default(), wake: Arc::downgrade(&wake) };
        Ok((Arc::new(shared), wake))
    }

    pub(super) fn take(&self) -> Vec<Request> {
        if let Some(wake) = self.wake.upgrade() {
            let _ = wake.read();
        }
        std::mem::take(&mut self.mail().requests)
    }

    pub(super) fn end(&self, edges: Vec<EdgeState>) {
        let mut mail = self.mail();
        // Whoever has asked meanwhile finds that nobody answers, and looks here.
        mail.requests.clear();
        mail.ended = Some(edges);
    }

    fn mail(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Control {
    pub(super) fn new(shared: Arc<Shared>) -> Control {
        Control(shared)
    }

    /// How all edges stand, in the order in which they were connected to their sinks.
    #[must_use]
    pub fn edges(&self) -> Vec<EdgeState> {
        let (answer, answered) = mpsc::channel();
        self.ask(Request::Edges(answer));
        // No answer at once: the relay has ended, which it notes before it lets go of requests.
        answered
            .recv_timeout(ANSWER_TIMEOUT)
            .unwrap_or_else(|_| self.0.mail().ended.clone().unwrap_or_default())
    }

    /// The producer of `source` has failed, and all its processes are gone or going. What it wrote
    /// is passed on; then the sinks of `told` end, the others stay open without an end.
    pub fn fail(&self, source: SourceId, told: &[SinkId]) {
        let told = told.iter().map(|sink| sink.0).collect();
        self.ask(Request::Fail { source: source.0, told });
    }

    /// Whoever was to read `sink` has ended: it gets nothing more, whatever still has it open.
    pub fn leave(&self, sink: SinkId) {
        self.ask(Request::Leave(sink.0));
    }

    /// Shows records of `sources` to whoever reads `to`, a pipe or a socket, which is closed when
    /// there is nothing more to show. Nobody waits for it: what it has no room for is not shown.
    pub fn tap(&self, sources: &[SourceId], sampling: Sampling, to: OwnedFd) {
        let sources = sources.iter().map(|source| source.0).collect();
        self.ask(Request::Tap { sources, sampling, to });
    }

    /// Whether somebody waits, by other means than these streams, for a task among them. That
    /// counts as an edge that starves.
    pub fn set_waited_for(&self, waited_for: bool) {
        self.ask(Request::WaitedFor(waited_for));
    }

    #[cfg(test)]
    pub(super) fn has_descriptor(&self) -> bool {
        self.0.wake.strong_count() > 0
    }

    fn ask(&self, request: Request) {
        let mut mail = self.0.mail();
        if mail.ended.is_none() {
            mail.requests.push(request);
            if let Some(wake) = self.0.wake.upgrade() {
                let _ = wake.write(1);
            }
        }
    }
}
