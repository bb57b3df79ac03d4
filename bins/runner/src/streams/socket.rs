//! The run's stream socket, `streams.sock`: a line in, an answer out.
//!
//! A thread of its own, so that neither the relays nor the run ever wait for who asks. Clients are
//! few and have little time: who does not ask, or does not take its answer, is let go.

use super::board::Board;
use super::request::{self, Request};
use super::said;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use otto_core::fifo;
use otto_core::socket::{self, Bound};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Longest request, in bytes.
const LINE_BYTES_MAX: usize = 1024;
/// Most who ask at a time; further ones wait to be accepted.
const CLIENTS_MAX: usize = 64;
/// Time to ask and to take the answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long nobody is accepted when the process has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The socket at work; dropping it closes and removes it.
#[derive(Debug)]
pub(super) struct StreamSocket {
    /// Closing it stops the thread.
    stop: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
    _bound: Bound,
}

impl StreamSocket {
    /// Answers at `streams.sock` in the run's folder.
    pub(super) fn serve(run_dir: &Path, board: Board) -> Result<StreamSocket, String> {
        let (listener, bound) = socket::listen(&run_dir.join("streams.sock")).map_err(said)?;
        let stop = fifo::pipe().map_err(said)?;
        let watch = stop.read;
        let desk = Desk { listener, board, clients: Vec::new(), accept_at: None };
        let thread = std::thread::Builder::new()
            .name("streams".to_owned())
            .spawn(move || desk.run(&watch))
            .map_err(|error| format!("can't start a thread: {error}"))?;
        Ok(StreamSocket { stop: Some(stop.write), thread: Some(thread), _bound: bound })
    }
}

impl Drop for StreamSocket {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Desk {
    listener: UnixListener,
    board: Board,
    clients: Vec<Client>,
    /// Nobody is accepted before.
    accept_at: Option<Instant>,
}

/// Somebody who asks.
struct Client {
    stream: UnixStream,
    line: Vec<u8>,
    /// What is left of the answer, once there is one.
    answer: Option<Vec<u8>>,
    deadline: Instant,
}

impl Desk {
    fn run(mut self, stop: &OwnedFd) {
        loop {
            let now = Instant::now();
            self.clients.retain(|client| client.deadline > now);
            self.accept_at = self.accept_at.filter(|at| *at > now);
            let open = self.clients.len() < CLIENTS_MAX && self.accept_at.is_none();
            let mut fds = vec![
                PollFd::new(stop.as_fd(), PollFlags::POLLIN),
                PollFd::new(
                    self.listener.as_fd(),
                    if open { PollFlags::POLLIN } else { PollFlags::empty() },
                ),
            ];
            fds.extend(self.clients.iter().map(Client::wants));
            match poll(&mut fds, self.timeout(now)) {
                Ok(_) => {}
                Err(Errno::EINTR) => continue,
                Err(_) => return,
            }
            let ready: Vec<bool> = fds.iter().map(|fd| fd.any() == Some(true)).collect();
            if ready[0] {
                return;
            }
            let mut ready_clients = ready[2..].iter();
            let board = &self.board;
            let clients = std::mem::take(&mut self.clients).into_iter();
            self.clients =
                clients
                    .filter_map(|client| {
                        if *ready_clients.next()? { client.go_on(board) } else { Some(client) }
                    })
                    .collect();
            if ready[1] {
                self.accept();
            }
        }
    }

    fn accept(&mut self) {
        match self.listener.accept() {
            Ok((stream, _)) => {
                if stream.set_nonblocking(true).is_ok() {
                    let deadline = Instant::now() + PATIENCE;
                    self.clients.push(Client { stream, line: Vec::new(), answer: None, deadline });
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => self.accept_at = Some(Instant::now() + ACCEPT_PAUSE),
        }
    }

    fn timeout(&self, now: Instant) -> PollTimeout {
        let deadlines = self.clients.iter().map(|client| client.deadline);
        let Some(next) = deadlines.chain(self.accept_at).min() else { return PollTimeout::NONE };
        let left = next.saturating_duration_since(now) + Duration::from_millis(1);
        PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
    }
}

impl Client {
    fn wants(&self) -> PollFd<'_> {
        let answering = self.answer.is_some();
        let flags = if answering { PollFlags::POLLOUT } else { PollFlags::POLLIN };
        PollFd::new(self.stream.as_fd(), flags)
    }

    /// Reads or writes what can be; `None` when it is done with.
    fn go_on(mut self, board: &Board) -> Option<Client> {
        if self.answer.is_none() {
            let ended = self.read().ok()?;
            let line = self.line.split(|byte| *byte == b'\n').next()?;
            let is_whole = ended || line.len() < self.line.len();
            if !is_whole && line.len() <= LINE_BYTES_MAX {
                return Some(self);
            }
            let line = if line.len() > LINE_BYTES_MAX {
                Err(format!("a request longer than {LINE_BYTES_MAX} bytes"))
            } else {
                Ok(String::from_utf8_lossy(line))
            };
            match line.and_then(|line| answer(&line, board)) {
                Ok(Answer::Text(text)) => self.answer = Some(text.into_bytes()),
                Ok(Answer::Tap(tapped, sampling)) => {
                    // A socket nothing has been written to has room for this.
                    self.stream.write_all(b"OK\n").ok()?;
                    tapped.show(sampling, self.stream.into());
                    return None;
                }
                Err(what) => self.answer = Some(format!("ERROR: {what}\n").into_bytes()),
            }
        }
        self.write()
    }

    /// Takes what has come, as far as a request goes; whether that is all.
    fn read(&mut self) -> std::io::Result<bool> {
        let mut buffer = [0; LINE_BYTES_MAX];
        while self.line.len() <= LINE_BYTES_MAX && !self.line.contains(&b'\n') {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(true),
                Ok(count) => self.line.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    fn write(mut self) -> Option<Client> {
        let answer = self.answer.as_mut()?;
        while !answer.is_empty() {
            match self.stream.write(answer) {
                Ok(count) => drop(answer.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Some(self),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
        None
    }
}

enum Answer {
    Text(String),
    Tap(super::board::Tapped, fifo::Sampling),
}

fn answer(line: &str, board: &Board) -> Result<Answer, String> {
    match request::parse(line)? {
        Request::Stat => Ok(Answer::Text(board.stat() + "\n")),
        Request::Tap { task, sampling } => Ok(Answer::Tap(board.tapped(task)?, sampling)),
    }
}
