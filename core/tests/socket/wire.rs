//! What the tests here stand on: a server on a thread, and connections without a client library.

use otto_core::socket::{Handle, Options, Running, Server};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything that must happen may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Tests that look at the memory of this process have it to themselves.
static MEMORY: RwLock<()> = RwLock::new(());

/// How a test uses it: beside others, or alone; only ever dropped.
#[allow(dead_code)]
enum Turn {
    Beside(RwLockReadGuard<'static, ()>),
    Alone(RwLockWriteGuard<'static, ()>),
}

/// A server in a folder of its own.
pub(crate) struct Serving {
    running: Running,
    _folder: TempDir,
    _turn: Turn,
}

impl Serving {
    pub(crate) fn start() -> Serving {
        Serving::with(Options::default())
    }

    pub(crate) fn with(options: Options) -> Serving {
        let turn = Turn::Beside(MEMORY.read().unwrap_or_else(PoisonError::into_inner));
        Serving::in_turn(options, turn)
    }

    /// For a test that measures memory.
    pub(crate) fn alone(options: Options) -> Serving {
        let turn = Turn::Alone(MEMORY.write().unwrap_or_else(PoisonError::into_inner));
        Serving::in_turn(options, turn)
    }

    fn in_turn(options: Options, turn: Turn) -> Serving {
        let folder = tempfile::tempdir().unwrap();
        let running = Server::bind(&folder.path().join("s"), options).unwrap().spawn();
        Serving { running, _folder: folder, _turn: turn }
    }

    pub(crate) fn path(&self) -> &Path {
        self.running.path()
    }

    pub(crate) fn handle(&self) -> &Handle {
        self.running.handle()
    }

    pub(crate) fn wire(&self) -> Wire {
        Wire::connect(self.path())
    }

    /// One figure of STATS.
    pub(crate) fn figure(&self, name: &str) -> u64 {
        let stats = self.wire().ask("STATS");
        let stats: serde_json::Value = serde_json::from_str(&stats).unwrap();
        stats[name].as_u64().unwrap()
    }

    /// Waits until `name` in STATS is `wanted`. The asking client itself counts as one.
    pub(crate) fn until(&self, name: &str, wanted: u64) {
        until(name, || self.figure(name) == wanted);
    }
}

pub(crate) fn until(what: &str, mut event: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !event() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// One connection, byte by byte.
pub(crate) struct Wire {
    pub(crate) stream: UnixStream,
    reader: BufReader<UnixStream>,
}

impl Wire {
    pub(crate) fn connect(path: &Path) -> Wire {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        let reader = BufReader::new(stream.try_clone().unwrap());
        Wire { stream, reader }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Closes the sending side.
    pub(crate) fn end(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    pub(crate) fn exactly(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.reader.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// The next line, without its line feed.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        assert_eq!(line.pop(), Some('\n'), "{line}");
        line
    }

    /// Status and payload of the next frame.
    pub(crate) fn frame(&mut self) -> (u8, Vec<u8>) {
        let length = u32::from_be_bytes(self.exactly(4).try_into().unwrap());
        let mut body = self.exactly(length as usize);
        let payload = body.split_off(1);
        (body[0], payload)
    }

    /// Insists that nothing has come beyond what was read.
    pub(crate) fn silent(&mut self) {
        self.stream.set_nonblocking(true).unwrap();
        assert_eq!(self.reader.fill_buf().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
        self.stream.set_nonblocking(false).unwrap();
    }

    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.send(format!("{line}\n"));
        self.line()
    }

    pub(crate) fn ask_frame(&mut self, command: u8, payload: &[u8]) -> (u8, Vec<u8>) {
        self.send(frame(command, payload));
        self.frame()
    }

    /// Everything up to the end.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.reader.read_to_end(&mut bytes).unwrap();
        bytes
    }

    /// Everything up to the end, or to the reset with which a server closes on unread input.
    pub(crate) fn last_words(&mut self) -> String {
        let mut bytes = Vec::new();
        let _ = self.reader.read_to_end(&mut bytes);
        String::from_utf8(bytes).unwrap()
    }
}

pub(crate) fn frame(command: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len() + 1).unwrap();
    [&length.to_be_bytes()[..], &[command], payload].concat()
}

/// `[u16 length][key]` and what follows.
pub(crate) fn keyed(key: &str, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(key.len()).unwrap();
    [&length.to_be_bytes()[..], key.as_bytes(), rest].concat()
}

/// Resident memory of this process, in bytes.
pub(crate) fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// The most memory this process has had resident since [`forget_the_peak`], in bytes.
pub(crate) fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

pub(crate) fn forget_the_peak() {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
}
