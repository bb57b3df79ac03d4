//! Every Redis client is an Otto client: the same requests to our server and to redis-server get the
//! same replies.

mod benchmark;
mod blocking;
mod clients;
mod commands;
mod oracle;
mod pubsub;
mod strange;
mod wire;

use otto_e2e::{Place, Server, wait_for};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use wire::Wire;

/// Debian's redis-server on a socket of its own, ended with this.
struct Redis {
    process: Child,
    socket: PathBuf,
}

impl Redis {
    fn start(place: &Place) -> Redis {
        let folder = place.folder("redis");
        let socket = folder.join("socket");
        let process = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--databases", "1"])
            .arg("--unixsocket")
            .arg(&socket)
            .arg("--dir")
            .arg(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server");
        let redis = Redis { process, socket };
        wait_for("redis-server to listen", || UnixStream::connect(&redis.socket).ok());
        redis
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Both servers, ours first.
struct Both<'a> {
    ours: Server<'a>,
    theirs: Redis,
}

impl Both<'_> {
    fn start(place: &Place) -> Both<'_> {
        Both { ours: Server::start(place), theirs: Redis::start(place) }
    }

    fn sockets(&self) -> [PathBuf; 2] {
        [self.ours.socket().into(), self.theirs.socket.clone()]
    }

    /// A connection to each.
    fn connect(&self) -> [Wire; 2] {
        self.sockets().map(|socket| Wire::connect(&socket))
    }
}
