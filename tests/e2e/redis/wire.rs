//! One connection, without a client library.

use otto_e2e::DEADLINE;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// The bytes of a request.
pub(super) fn request<A: AsRef<[u8]>>(args: &[A]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        out.extend(format!("${}\r\n", arg.as_ref().len()).into_bytes());
        out.extend_from_slice(arg.as_ref());
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// Bytes as they can be read and compared by people.
pub(super) fn shown(bytes: &[u8]) -> String {
    let text: String = bytes.iter().take(600).map(|byte| byte.escape_ascii().to_string()).collect();
    if bytes.len() > 600 { format!("{text}... ({} bytes)", bytes.len()) } else { text }
}

/// Where the reply at the start of `bytes` ends, if all of it is there.
pub(super) fn reply_end(bytes: &[u8]) -> Option<usize> {
    let line = bytes.windows(2).position(|pair| pair == b"\r\n")? + 2;
    let number = || std::str::from_utf8(&bytes[1..line - 2]).ok()?.parse::<i64>().ok();
    match bytes[0] {
        b'+' | b'-' | b':' => Some(line),
        b'$' => match usize::try_from(number()?) {
            Ok(length) => Some(line + length + 2).filter(|end| *end <= bytes.len()),
            Err(_) => Some(line),
        },
        b'*' => (0..number()?.max(0)).try_fold(line, |at, _| Some(at + reply_end(&bytes[at..])?)),
        byte => panic!("no reply begins with {byte:#x}: {}", shown(bytes)),
    }
}

/// The elements of an array, each a reply as it came.
pub(super) fn elements(reply: &[u8]) -> Vec<Vec<u8>> {
    let mut at = reply.windows(2).position(|pair| pair == b"\r\n").expect("a line") + 2;
    let mut out = Vec::new();
    while at < reply.len() {
        let end = at + reply_end(&reply[at..]).expect("a whole reply");
        out.push(reply[at..end].to_vec());
        at = end;
    }
    out
}

pub(super) struct Wire {
    stream: UnixStream,
    input: Vec<u8>,
}

impl Wire {
    pub(super) fn connect(socket: &Path) -> Wire {
        let stream = UnixStream::connect(socket).expect("the server listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("a limit");
        Wire { stream, input: Vec::new() }
    }

    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("sent");
    }

    /// The next reply, as it came.
    pub(super) fn receive(&mut self) -> Vec<u8> {
        loop {
            if let Some(end) = reply_end(&self.input) {
                return self.input.drain(..end).collect();
            }
            assert!(self.more() > 0, "closed after {}", shown(&self.input));
        }
    }

    /// Everything up to the end of the connection.
    pub(super) fn rest(&mut self) -> Vec<u8> {
        while self.more() > 0 {}
        std::mem::take(&mut self.input)
    }

    fn more(&mut self) -> usize {
        let mut bytes = [0; 1 << 16];
        let count = self.stream.read(&mut bytes).expect("a reply in time");
        self.input.extend_from_slice(&bytes[..count]);
        count
    }

    /// Sends one request, given as words, and returns its reply.
    pub(super) fn ask(&mut self, words: &str) -> Vec<u8> {
        self.tell(words);
        self.receive()
    }

    /// Sends one request, given as words.
    pub(super) fn tell(&mut self, words: &str) {
        let words: Vec<&str> = words.split_whitespace().collect();
        self.send(&request(&words));
    }
}

/// The start of an incomplete reply is none.
#[test]
fn replies_end_where_they_end() {
    for reply in
        ["+OK\r\n", ":-1\r\n", "$-1\r\n", "$3\r\na\r\n\r\n", "*2\r\n:1\r\n*1\r\n$0\r\n\r\n"]
    {
        for end in 0..reply.len() {
            assert_eq!(reply_end(&reply.as_bytes()[..end]), None, "{reply:?} up to {end}");
        }
        assert_eq!(reply_end(format!("{reply}+OK\r\n").as_bytes()), Some(reply.len()));
    }
    assert_eq!(elements(b"*2\r\n:1\r\n$1\r\nx\r\n"), [&b":1\r\n"[..], b"$1\r\nx\r\n"]);
}
