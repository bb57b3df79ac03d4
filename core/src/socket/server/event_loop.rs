//! The loop: what is ready is read, carried out and answered, in turn.

#[cfg(any(test, feature = "fuzzing"))]
pub(super) mod fuzz;

use super::super::dispatch::Dispatch;
use super::super::store::Store;
use super::Options;
use super::connection::Connection;
use super::exchange::request_bytes_max;
use super::handle::Order;
use super::progress_fifo::ProgressFifo;
use super::regulars::Regulars;
use crate::limits::OUTPUT_TOTAL_BYTES_MAX;
use crate::run::raise_descriptors;
use crate::spin::{self, Spin};
use mio::event::Event;
use mio::net::UnixListener;
use mio::{Events, Interest, Poll, Token};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::geteuid;
use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

pub(super) const LISTENER: Token = Token(0);
pub(super) const WAKER: Token = Token(1);
pub(super) const PROGRESS: Token = Token(2);
const FIRST_CLIENT: usize = 3;

/// Bytes read from one client at a time.
pub(super) const READ_BYTES: usize = 64 << 10;
/// What one client may have done before the others have their turn: bytes read, bytes carried
/// out, and what was looked through for them.
const TURN_BYTES: usize = 512 << 10;
/// Clients accepted in one go.
const ACCEPTS_PER_TURN: usize = 64;
/// What looking at one key or subscription counts as, in bytes of a turn.
const LOOK_BYTES: usize = 32;
/// How often clients that take nothing are looked at.
const STALL_CHECK: Duration = Duration::from_secs(1);
/// How long nobody is accepted when the process has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Everything the command thread owns.
pub(super) struct EventLoop {
    poll: Poll,
    listener: UnixListener,
    progress: Option<ProgressFifo>,
    orders: Receiver<Order>,
    pub(super) dispatch: Dispatch,
    pub(super) clients: Vec<Option<Connection>>,
    free: Vec<usize>,
    /// Places freed since the last look, which may have reported something of who had them.
    freed: Vec<usize>,
    clients_max: usize,
    /// The limit of descriptors may be raised.
    may_raise: bool,
    pub(super) value_bytes_max: usize,
    /// Longest request, in bytes.
    pub(super) request_bytes_max: usize,
    /// Bytes of unfinished requests of all clients.
    pub(super) input_bytes: usize,
    /// Bytes that wait for all clients.
    output_bytes: usize,
    /// Where replies are written before they are sent.
    pub(super) reply: Vec<u8>,
    scratch: Vec<u8>,
    /// Clients with something to send, or to go on with, once the current one is done.
    pub(super) touched: VecDeque<usize>,
    /// Clients whose turn was over before their requests were.
    again: Vec<usize>,
    /// What is left of the current turn, in bytes.
    pub(super) turn: usize,
    accept_at_once: bool,
    accept_after: Option<Instant>,
    stall_check: Option<Instant>,
    spin: Spin,
    regulars: Regulars,
}

impl EventLoop {
    pub(super) fn new(
        poll: Poll,
        listener: UnixListener,
        progress: Option<ProgressFifo>,
        store: Store,
        options: Options,
        orders: Receiver<Order>,
    ) -> EventLoop {
        let mut dispatch = Dispatch::new(store, options.history_bytes_max);
        dispatch.on_progress = options.on_progress;
        dispatch.on_cancel = options.on_cancel;
        dispatch.on_wait = options.on_wait;
        EventLoop {
            poll,
            listener,
            progress,
            orders,
            dispatch,
            clients: Vec::new(),
            free: Vec::new(),
            freed: Vec::new(),
            clients_max: options.clients_max,
            may_raise: options.raise_descriptors,
            value_bytes_max: options.value_bytes_max,
            request_bytes_max: request_bytes_max(options.value_bytes_max),
            input_bytes: 0,
            output_bytes: 0,
            reply: Vec::new(),
            scratch: vec![0; READ_BYTES],
            touched: VecDeque::new(),
            again: Vec::new(),
            turn: 0,
            accept_at_once: false,
            accept_after: None,
            stall_check: None,
            spin: Spin::new(),
            regulars: Regulars::new(),
        }
    }

    pub(super) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(256);
        let (mut any, mut others) = (false, false);
        loop {
            self.wait(&mut events, any, others)?;
            (any, others) = (false, false);
            // First of all: however long nothing happened, what is asked for now is asked for now.
            self.pass_time();
            self.settle();
            for event in &events {
                match event.token() {
                    LISTENER => self.accept(),
                    WAKER => {
                        if self.take_orders() {
                            return Ok(());
                        }
                        self.settle();
                    }
                    PROGRESS => {
                        self.take_progress();
                        if let Some(progress) = &mut self.progress {
                            progress.pause(Instant::now(), self.poll.registry());
                        }
                    }
                    Token(token) => {
                        let client = token - FIRST_CLIENT;
                        any = true;
                        others |= !self.regulars.know(client);
                        self.ready(client, event);
                    }
                }
            }
            // Every report of this look is taken: the places can be given away.
            self.free.append(&mut self.freed);
            for client in std::mem::take(&mut self.again) {
                let Some(Some(connection)) = self.clients.get_mut(client) else { continue };
                connection.goes_on = false;
                self.drive(client);
                self.settle();
            }
        }
    }

    /// Waits for events. If `any` client has just asked for something, with a look for more before
    /// it sleeps; a short one if it was `others` than usual.
    fn wait(&mut self, events: &mut Events, any: bool, others: bool) -> io::Result<()> {
        if self.accept_at_once || !self.again.is_empty() || self.dispatch.is_overdue() {
            return poll_once(&mut self.poll, events, Some(Duration::ZERO));
        }
        if any {
            let poll = &mut self.poll;
            let look = || {
                poll_once(poll, events, Some(Duration::ZERO))?;
                Ok::<_, io::Error>((!events.is_empty()).then_some(()))
            };
            // One of a few waits for its reply and asks on. Of many there is always one about to
            // ask: a long look for it takes more time than sleeping does.
            let found = if others { spin::look_briefly(look) } else { self.spin.look(look) };
            if found?.is_some() {
                self.spin.found();
                return Ok(());
            }
        }
        let progress = self.progress.as_ref().and_then(ProgressFifo::resumes);
        let next = [self.dispatch.next_deadline(), self.accept_after, self.stall_check, progress];
        let next = next.into_iter().flatten().min();
        let timeout = next.map(|at| {
            // Rounded up, lest the last millisecond is spent in a busy loop.
            at.saturating_duration_since(Instant::now()) + Duration::from_millis(1)
        });
        poll_once(&mut self.poll, events, timeout)?;
        if !events.is_empty() {
            self.spin.found();
        }
        Ok(())
    }

    /// Carries out what other threads ordered; whether to stop.
    fn take_orders(&mut self) -> bool {
        while let Ok(order) = self.orders.try_recv() {
            match order {
                Order::Work(work) => {
                    self.dispatch.expire_all();
                    work(&mut self.dispatch);
                }
                Order::TakeProgress(taken) => {
                    self.take_progress();
                    // Whoever asked may have gone.
                    let _ = taken.send(());
                }
                Order::Stop => {
                    self.take_progress();
                    self.dispatch.tell_last_figures();
                    self.settle();
                    return true;
                }
            }
        }
        false
    }

    /// Takes what shells have reported up to now.
    pub(super) fn take_progress(&mut self) {
        let Some(progress) = &mut self.progress else { return };
        for record in progress.read() {
            self.dispatch.progressed(record);
        }
    }

    fn accept(&mut self) {
        self.accept_at_once = false;
        for _ in 0..ACCEPTS_PER_TURN {
            match self.listener.accept() {
                Ok((stream, _)) => self.admit(stream),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error)
                    if self.may_raise && is_out_of_descriptors(&error) && raise_descriptors() => {}
                Err(_) => {
                    // Out of descriptors or memory: the queue keeps who comes meanwhile.
                    self.accept_after = Some(Instant::now() + ACCEPT_PAUSE);
                    return;
                }
            }
        }
        self.accept_at_once = true;
    }

    fn admit(&mut self, mut stream: mio::net::UnixStream) {
        let peer = getsockopt(&stream, PeerCredentials).ok();
        if peer.is_none_or(|peer| peer.uid() != geteuid().as_raw()) {
            self.dispatch.sent_away.refused += 1;
            Connection::turn_away(&stream, "ERROR: this server belongs to another user\n");
            return;
        }
        if self.dispatch.clients >= self.clients_max {
            let message =
                format!("ERROR: {} clients are connected, no more are taken\n", self.clients_max);
            self.dispatch.sent_away.refused += 1;
            Connection::turn_away(&stream, &message);
            return;
        }
        let client = self.free.pop().unwrap_or_else(|| {
            self.clients.push(None);
            self.clients.len() - 1
        });
        let token = Token(client + FIRST_CLIENT);
        if self.poll.registry().register(&mut stream, token, Interest::READABLE).is_err() {
            self.free.push(client);
            return;
        }
        self.clients[client] = Some(Connection::new(stream, peer.map(|peer| peer.pid())));
        self.dispatch.clients += 1;
        // Whoever connects mostly asks at once: no need to wait for the event.
        self.drive(client);
        self.settle();
    }

    fn ready(&mut self, client: usize, event: &Event) {
        let Some(Some(connection)) = self.clients.get_mut(client) else { return };
        connection.end_seen |= event.is_read_closed();
        connection.readable |= event.is_readable() || connection.end_seen;
        // Whoever has gone altogether still gets carried out what it had asked for.
        connection.gone |= event.is_write_closed() || event.is_error();
        self.drive(client);
        self.settle();
    }

    /// Goes on with one client: its requests, then its output.
    fn drive(&mut self, client: usize) {
        let mut scratch = std::mem::take(&mut self.scratch);
        self.turn = TURN_BYTES;
        if let Some(Some(connection)) = self.clients.get_mut(client) {
            connection.crowded = self.output_bytes > OUTPUT_TOTAL_BYTES_MAX;
        }
        self.exchange(client, &mut scratch);
        self.scratch = scratch;
        self.replay(client);
        self.flush(client);
    }

    /// Whatever requests touched: sends it and goes on with those whose wait is over, first come,
    /// first served. Those whom they touch in turn have theirs later: two clients that end each
    /// other's waits would otherwise have all the time.
    pub(super) fn settle(&mut self) {
        self.deliver(None);
        let mut with_a_turn = self.touched.len();
        while let Some(client) = self.touched.pop_front() {
            let Some(Some(connection)) = self.clients.get_mut(client) else { continue };
            connection.touched = false;
            if with_a_turn > 0 {
                with_a_turn -= 1;
                self.drive(client);
            } else {
                self.flush(client);
                self.go_on_later(client);
            }
            self.deliver(None);
        }
    }

    fn flush(&mut self, client: usize) {
        let Some(Some(connection)) = self.clients.get_mut(client) else { return };
        let paused = !connection.takes_requests();
        connection.flush();
        connection.shrink();
        let waiting = connection.output.len();
        self.output_bytes += waiting;
        self.output_bytes -= std::mem::replace(&mut connection.counted, waiting);
        // What a client sent before it went is in the socket still.
        let left = connection.gone && !connection.ended;
        connection.readable |= left;
        // Whoever is sent away or has gone gets nothing more of the past, and no further turns for it.
        let listens = !connection.closing && !connection.gone;
        let replays = connection.replaying && listens && connection.has_room();
        if connection.takes_requests() && (paused || left) || replays {
            self.go_on_later(client);
        }
        let Some(Some(connection)) = self.clients.get_mut(client) else { return };
        if connection.is_done() || connection.is_hopeless() {
            self.dispatch.sent_away.stalled += u64::from(!connection.is_done());
            self.close(client);
            return;
        }
        if connection.is_stalled() {
            self.stall_check.get_or_insert_with(|| Instant::now() + STALL_CHECK);
        }
        // Asked for only while output waits: a client that reads would otherwise wake the loop.
        if connection.awaits_room == connection.output.is_empty() {
            connection.awaits_room = !connection.awaits_room;
            let room = connection.awaits_room.then_some(Interest::WRITABLE);
            let interest = room.map_or(Interest::READABLE, |room| room | Interest::READABLE);
            let token = Token(client + FIRST_CLIENT);
            if self.poll.registry().reregister(&mut connection.stream, token, interest).is_err() {
                self.close(client);
            }
        }
    }

    /// Counts work against the turn of the current client.
    pub(super) fn worked(&mut self, bytes: usize) {
        let looks = std::mem::take(&mut self.dispatch.looks);
        self.turn = self.turn.saturating_sub(bytes + looks * LOOK_BYTES);
    }

    /// Gives a client another turn after the others have had theirs.
    pub(super) fn go_on_later(&mut self, client: usize) {
        if let Some(Some(connection)) = self.clients.get_mut(client)
            && !connection.goes_on
        {
            connection.goes_on = true;
            self.again.push(client);
        }
    }

    pub(super) fn close(&mut self, client: usize) {
        let Some(mut connection) = self.clients.get_mut(client).and_then(Option::take) else {
            return;
        };
        let _ = self.poll.registry().deregister(&mut connection.stream);
        self.input_bytes -= connection.input.len();
        self.output_bytes -= connection.counted;
        self.dispatch.forget(client);
        self.dispatch.clients -= 1;
        self.freed.push(client);
    }

    fn pass_time(&mut self) {
        let now = Instant::now();
        self.dispatch.pass_time(now);
        if let Some(progress) = &mut self.progress
            && progress.resume(now, self.poll.registry()).is_err()
        {
            // Without a way to hear of it, nobody may wait for it to be read.
            self.progress = None;
        }
        if self.accept_at_once || self.accept_after.is_some_and(|at| at <= now) {
            self.accept_after = None;
            self.accept();
        }
        if self.stall_check.is_some_and(|at| at <= now) {
            self.stall_check = None;
            for client in 0..self.clients.len() {
                let Some(connection) = &self.clients[client] else { continue };
                if connection.is_hopeless() {
                    self.dispatch.sent_away.stalled += 1;
                    self.close(client);
                } else if connection.is_stalled() {
                    self.stall_check = Some(now + STALL_CHECK);
                }
            }
        }
    }
}

/// Whether what is lacking is a descriptor of this process.
fn is_out_of_descriptors(error: &io::Error) -> bool {
    error.raw_os_error() == Some(nix::libc::EMFILE)
}

fn poll_once(poll: &mut Poll, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
    match poll.poll(events, timeout) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {
            events.clear();
            Ok(())
        }
        result => result,
    }
}
