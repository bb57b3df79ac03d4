//! What a fuzzer feeds: one conversation, as the loop sees it, without threads and without time.
//!
//! The bytes go through a pair of sockets, since what is to be tried is the loop itself: cutting,
//! skipping, carrying out, delivering. Its clock stands still, so nothing is ever due.

use super::{Connection, EventLoop};
use crate::limits::{OUTPUT_PAUSE_BYTES, SUBSCRIBER_BACKLOG_BYTES_MAX};
use crate::socket::Options;
use crate::socket::store::Store;
use mio::Poll;
use mio::net::{UnixListener, UnixStream};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::mpsc::channel;

/// Which bytes a conversation is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Lines.
    Text,
    /// Frames; see [`conversation`].
    Binary,
    /// What Redis clients speak; see [`conversation`].
    Resp,
}

/// A value is at most this long here, so that fuzzers soon find what is longer.
const VALUE_BYTES_MAX: usize = 2048;
/// Pieces are smaller than what a socket takes at once.
const PIECE_BYTES_MAX: usize = 32 << 10;
/// More turns than any conversation needs.
const TURNS_MAX: usize = 10_000;
/// The first byte of an input whose rest is put into frames or arguments.
pub(super) const SHAPED: u8 = 0xff;

/// The bytes that a client sends for `input`.
///
/// Few changes of a frame leave its length right. So where `input` begins with 0xFF, what follows is
/// `[u8 length][body]` over and over for the binary dialect, each put into a frame, and for RESP
/// `[u8 count]` and so many `[u8 length][argument]`, each made a command. Anything else is sent as it
/// stands.
///
/// ```
/// use otto_core::socket::fuzz::{Dialect, conversation};
/// assert_eq!(conversation(Dialect::Binary, b"\xff\x03\x02ab\x01\x0b"), b"\0\0\0\x03\x02ab\0\0\0\x01\x0b");
/// assert_eq!(conversation(Dialect::Resp, b"\xff\x01\x04PING"), b"*1\r\n$4\r\nPING\r\n");
/// assert_eq!(conversation(Dialect::Text, b"PING\n"), b"PING\n");
/// ```
#[must_use]
pub fn conversation(dialect: Dialect, input: &[u8]) -> Vec<u8> {
    let (Some((&SHAPED, mut rest)), Dialect::Binary | Dialect::Resp) =
        (input.split_first(), dialect)
    else {
        return input.to_vec();
    };
    let mut bytes = Vec::new();
    while !rest.is_empty() {
        if dialect == Dialect::Binary {
            let body = sized(&mut rest);
            bytes.extend_from_slice(&u32::try_from(body.len()).unwrap_or(0).to_be_bytes());
            bytes.extend_from_slice(body);
        } else {
            let count = rest[0];
            rest = &rest[1..];
            bytes.extend_from_slice(format!("*{count}\r\n").as_bytes());
            for _ in 0..count {
                let argument = sized(&mut rest);
                bytes.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
                bytes.extend_from_slice(argument);
                bytes.extend_from_slice(b"\r\n");
            }
        }
    }
    bytes
}

/// `[u8 length]` and so many bytes, or what is left of them.
fn sized<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let Some((length, after)) = rest.split_first() else { return &[] };
    let (body, after) = after.split_at(after.len().min(usize::from(*length)));
    *rest = after;
    body
}

/// Has a server answer the conversation of `input` in one piece, byte by byte, and in other pieces,
/// and panics when the replies differ or more is kept than was sent and answered.
///
/// ```
/// use otto_core::socket::fuzz::{Dialect, check};
/// check(Dialect::Text, b"SET a 1\nGET a");
/// ```
///
/// # Panics
/// When the server is wrong; or when the system gives no sockets.
pub fn check(dialect: Dialect, input: &[u8]) {
    let bytes = conversation(dialect, input);
    let whole = answered(&bytes, &mut |left| left);
    // Small where there is little: a fuzzer lives on the number of its runs.
    let most = (bytes.len() / 10).max(24);
    // Some pieces that depend on nothing but the input, so that a failure can be had again.
    let mut state = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let pieces = answered(&bytes, &mut |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        1 + (state >> 33) as usize % most
    });
    compare(&bytes, &whole, &pieces, "in pieces");
    if bytes.len() <= 400 {
        let single = answered(&bytes, &mut |_| 1);
        compare(&bytes, &whole, &single, "byte by byte");
    }
}

fn compare(bytes: &[u8], whole: &[u8], other: &[u8], how: &str) {
    if steady(whole) != steady(other) && !tells_of_itself(bytes) {
        let [bytes, whole, other] = [bytes, whole, other].map(|bytes| bytes.escape_ascii());
        panic!("replies differ\n -- asked\n{bytes}\n -- at once\n{whole}\n -- {how}\n{other}");
    }
}

/// The replies without the length of what is too long, which is told as far as it is known.
fn steady(replies: &[u8]) -> Vec<u8> {
    const BEFORE: &[u8] = b"value of ";
    let (mut steady, mut rest) = (Vec::new(), replies);
    while let Some(at) = rest.windows(BEFORE.len()).position(|part| part == BEFORE) {
        let (before, after) = rest.split_at(at + BEFORE.len());
        steady.extend_from_slice(before);
        let digits = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
        rest = &after[digits..];
    }
    steady.extend_from_slice(rest);
    steady
}

/// Whether the replies may tell what differs from one server to the next: its figures, its name, the
/// order its keys lie in; or events of the past, which come when there is time for them.
fn tells_of_itself(bytes: &[u8]) -> bool {
    let has = |word: &[u8]| bytes.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word));
    // STATS, LOCKS and SUBSCRIBE-FROM of the binary dialect.
    let frames = bytes.first().is_some_and(|first| *first <= 0x08);
    let figures = [0x0d, 0x14, 0x18].iter().any(|command| bytes.contains(command));
    let words: [&[u8]; 10] = [
        b"stats", b"info", b"client", b"time", b"memory", b"random", b"hello", b"locks", b"keys",
        b"scan",
    ];
    frames && figures || words.into_iter().any(has)
}

/// Everything a new server answers to `bytes`, in pieces of the lengths that `next` gives.
fn answered(bytes: &[u8], next: &mut dyn FnMut(usize) -> usize) -> Vec<u8> {
    let (mut served, client) = Served::new().expect("sockets");
    let mut replies = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() && served.connection().is_some() {
        let length = next(rest.len()).clamp(1, rest.len()).min(PIECE_BYTES_MAX);
        let (piece, after) = rest.split_at(length);
        rest = after;
        // A server that has heard enough has closed its side.
        if (&client).write_all(piece).is_err() {
            break;
        }
        served.go_on(&client, &mut replies, false);
        served.check_bounds(bytes.len());
    }
    let _ = client.shutdown(Shutdown::Write);
    served.go_on(&client, &mut replies, true);
    replies
}

/// A loop with one client.
struct Served(EventLoop);

impl Served {
    fn new() -> io::Result<(Served, UnixStream)> {
        // Nobody ever connects to it.
        let listener =
            socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_NONBLOCK, None)?;
        let listener = UnixListener::from_std(listener.into());
        let options = Options {
            value_bytes_max: VALUE_BYTES_MAX,
            store_bytes_max: 1 << 20,
            history_bytes_max: 64 << 10,
            ..Options::default()
        };
        let (_, orders) = channel();
        let store = Store::new(options.value_bytes_max, options.store_bytes_max);
        let event_loop = EventLoop::new(Poll::new()?, listener, None, store, options, orders);
        let mut served = Served(event_loop);
        let (ours, theirs) = UnixStream::pair()?;
        served.0.admit(ours);
        Ok((served, theirs))
    }

    fn connection(&mut self) -> Option<&mut Connection> {
        self.0.clients.first_mut()?.as_mut()
    }

    /// Lets the loop do what it can, and takes what it says.
    fn go_on(&mut self, client: &UnixStream, replies: &mut Vec<u8>, end: bool) {
        let mut buffer = [0; 16 << 10];
        for _ in 0..TURNS_MAX {
            if let Some(connection) = self.connection() {
                connection.readable = true;
                connection.end_seen |= end;
            }
            self.0.drive(0);
            self.0.settle();
            let before = replies.len();
            while let Ok(count @ 1..) = (&*client).read(&mut buffer) {
                replies.extend_from_slice(&buffer[..count]);
            }
            let again = std::mem::take(&mut self.0.again);
            for place in &again {
                if let Some(Some(connection)) = self.0.clients.get_mut(*place) {
                    connection.goes_on = false;
                }
            }
            if again.is_empty() && before == replies.len() {
                return;
            }
        }
        panic!("the loop comes to no rest");
    }

    /// What is kept is bounded by what came, whatever it claims.
    fn check_bounds(&mut self, came: usize) {
        let input_bytes = self.0.input_bytes;
        let Some(connection) = self.connection() else { return };
        let (input, output) = (connection.input.len(), connection.output.len());
        assert_eq!(input, input_bytes, "the sum of what is unfinished is wrong");
        assert!(input <= came, "{input} bytes are kept of {came}");
        let room = connection.input.capacity();
        assert!(room <= 2 * came + (64 << 10), "room for {room} bytes, of which {came} came");
        let most = OUTPUT_PAUSE_BYTES + SUBSCRIBER_BACKLOG_BYTES_MAX;
        assert!(output <= most, "{output} bytes wait");
    }
}

#[cfg(test)]
mod tests;
