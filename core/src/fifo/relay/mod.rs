//! What stands between several producers or consumers of one stream.
//!
//! A source is what a producer writes, a sink what a consumer reads. Every sink connected to a
//! source gets all its bytes; a sink of several sources gets them line by line, never mixed within
//! a line. Memory is bounded: of each source at most [`RELAY_BUFFER_BYTES`](crate::limits::RELAY_BUFFER_BYTES) are read ahead of its
//! slowest sink, so that the slowest consumer sets the pace.

mod sink;
mod source;

use crate::error::{Error, ErrorKind, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sink::Sink;
use source::Source;
use std::os::fd::{AsFd, OwnedFd};

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

    /// All that comes from `source` goes to `sink`.
    pub fn connect(&mut self, source: SourceId, sink: SinkId) {
        let at = self.sources[source.0].position();
        self.sinks[sink.0].connect(source.0, at);
    }

    /// Passes on what comes until every source is drained, or until `stop` is readable or its
    /// other end closed. Sinks are closed as soon as nothing more can come for them.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when waiting for the descriptors fails.
    pub fn run(mut self, stop: impl AsFd, mut on_event: impl FnMut(Event)) -> Result<()> {
        loop {
            self.settle(&mut on_event);
            if self.sources.iter().all(Source::is_drained) {
                return Ok(());
            }
            let (mut fds, owners) = self.interest(&stop);
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) => {}
                Err(Errno::EINTR) => continue,
                Err(errno) => {
                    let message = format!("can't wait for streams: {}", errno.desc());
                    return Err(Error::new(ErrorKind::Io, message));
                }
            }
            if fds[0].any() == Some(true) {
                return Ok(());
            }
            let ready: Vec<Owner> = fds[1..]
                .iter()
                .zip(owners)
                .filter(|(fd, _)| fd.any() == Some(true))
                .map(|(_, owner)| owner)
                .collect();
            for owner in ready {
                match owner {
                    Owner::Source(source) => self.sources[source].take(),
                    Owner::Sink(sink) => {
                        self.sinks[sink].check_reader();
                        self.sinks[sink].write(&self.sources);
                    }
                }
            }
            // What has just been read goes on at once: most sinks have room.
            for sink in &mut self.sinks {
                sink.write(&self.sources);
            }
        }
    }

    /// What to wait for: room in sinks that have something to take, bytes from sources that have
    /// room, and readers and writers that leave.
    fn interest<'a>(&'a self, stop: &'a impl AsFd) -> (Vec<PollFd<'a>>, Vec<Owner>) {
        let mut fds = vec![PollFd::new(stop.as_fd(), PollFlags::POLLIN)];
        let mut owners = Vec::new();
        for (place, source) in self.sources.iter().enumerate() {
            if let Some((fd, flags)) = source.wants() {
                fds.push(PollFd::new(fd, flags));
                owners.push(Owner::Source(place));
            }
        }
        for (place, sink) in self.sinks.iter().enumerate() {
            if let Some(fd) = sink.fd() {
                let pending = sink.is_pending(&self.sources);
                let flags = if pending { PollFlags::POLLOUT } else { PollFlags::empty() };
                fds.push(PollFd::new(fd, flags));
                owners.push(Owner::Sink(place));
            }
        }
        (fds, owners)
    }

    /// Draws the consequences of what was read and written.
    fn settle(&mut self, on_event: &mut impl FnMut(Event)) {
        for (place, sink) in self.sinks.iter_mut().enumerate() {
            match sink.take_end(&self.sources) {
                Some(Ok(())) => on_event(Event::Gone(SinkId(place))),
                Some(Err(error)) => {
                    let sources = sink.sources().map(SourceId).collect();
                    on_event(Event::Failed(sources, error));
                }
                None => {}
            }
        }
        for (place, source) in self.sources.iter_mut().enumerate() {
            let slowest = self.sinks.iter().filter_map(|sink| sink.position_in(place)).min();
            let drained = source.advance(slowest);
            if source.take_closed() {
                on_event(Event::Closed(SourceId(place)));
            }
            if drained {
                on_event(Event::Drained(SourceId(place)));
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Owner {
    Source(usize),
    Sink(usize),
}

fn nonblocking(fd: &OwnedFd) -> Result<()> {
    super::pipe::set_nonblocking(fd, true).map_err(|errno| {
        Error::new(ErrorKind::Io, format!("can't prepare a stream: {}", errno.desc()))
    })
}

#[cfg(test)]
mod tests;
