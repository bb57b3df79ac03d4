//! The server: one thread that owns the store and speaks with every client.

mod bind;
mod connection;
mod delivering;
mod event_loop;
mod exchange;
mod handle;
mod input;
mod output;
mod progress_fifo;
mod regulars;
mod resp_exchange;

pub use bind::{Bound, listen};
pub use handle::Handle;

/// What fuzzers call.
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz {
    pub use super::event_loop::fuzz::{Dialect, check, conversation};
}

use super::store::Store;
use crate::error::{Error, Result};
use crate::limits::{CLIENTS_MAX, HISTORY_BYTES_MAX, VALUE_BYTES_MAX};
use crate::progress::Record;
use event_loop::{EventLoop, LISTENER, WAKER};
use handle::Order;
use mio::{Interest, Poll, Waker};
use progress_fifo::ProgressFifo;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};

/// What can be chosen about a server.
pub struct Options {
    /// Largest value, in bytes of compact JSON; at most the frame limit.
    pub value_bytes_max: usize,
    /// All keys and values together, in bytes.
    pub store_bytes_max: usize,
    /// Most clients at a time.
    pub clients_max: usize,
    /// Past events kept for those who subscribe later, in bytes.
    pub history_bytes_max: usize,
    /// Told of every progress record, on the command thread: must be quick.
    pub on_progress: Option<Box<dyn FnMut(Record) + Send>>,
    /// Told, likewise, of every request to cancel: one task, or the whole run.
    pub on_cancel: Option<Box<dyn FnMut(Option<String>) + Send>>,
    /// Told, likewise, whenever a client begins to wait for a key that tasks may set.
    pub on_wait: Option<Box<dyn FnMut() + Send>>,
    /// Whether this process may allow itself more descriptors, up to the hard limit, when clients
    /// have taken all it was allowed: for programs that give their children the old limit.
    pub raise_descriptors: bool,
    /// Where a FIFO is made from which records of progress are read too, a line each:
    /// `task TAB id TAB current TAB total or - TAB message`.
    pub progress_fifo: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            value_bytes_max: VALUE_BYTES_MAX,
            store_bytes_max: 8 << 30,
            clients_max: CLIENTS_MAX,
            history_bytes_max: HISTORY_BYTES_MAX,
            on_progress: None,
            on_cancel: None,
            on_wait: None,
            raise_descriptors: false,
            progress_fifo: None,
        }
    }
}

/// A server that listens already and answers once it runs.
///
/// ```
/// use otto_core::socket::{Client, Options, Server};
/// use otto_core::{Condition, Json, Key, Values};
/// let folder = tempfile::tempdir().unwrap();
/// let running = Server::bind(&folder.path().join("otto.sock"), Options::default()).unwrap().spawn();
/// let mut client = Client::connect(running.path()).unwrap();
/// let key = Key::parse("build.version").unwrap();
/// client.set(&key, &Json::string("1.2.3"), Condition::Always).unwrap();
/// assert_eq!(client.get(&key).unwrap().unwrap().as_str(), "\"1.2.3\"");
/// running.stop().unwrap();
/// ```
pub struct Server {
    poll: Poll,
    listener: mio::net::UnixListener,
    bound: Bound,
    progress: Option<ProgressFifo>,
    store: Store,
    options: Options,
    orders: Receiver<Order>,
    handle: Handle,
    path: PathBuf,
}

impl Server {
    /// Binds the socket (mode 0600) and listens: clients can connect from now on.
    ///
    /// # Errors
    /// When another server is there, something else stands in its place, or the system refuses.
    pub fn bind(path: &Path, options: Options) -> Result<Server> {
        let (listener, bound) = listen(path)?;
        let failed = |error| Error::io("watch", path, error);
        let poll = Poll::new().map_err(failed)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER).map_err(failed)?);
        let mut listener = mio::net::UnixListener::from_std(listener);
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE).map_err(failed)?;
        let progress = options.progress_fifo.as_deref().map(ProgressFifo::create).transpose()?;
        if let Some(progress) = &progress {
            progress.watch(poll.registry()).map_err(failed)?;
        }
        let (sender, orders) = channel();
        let handle = Handle::new(sender, waker);
        let path = path.to_owned();
        let store = Store::new(options.value_bytes_max, options.store_bytes_max);
        Ok(Server { poll, listener, bound, progress, store, options, orders, handle, path })
    }

    /// Begins with what [`Handle::snapshot`] made: clients that have connected already find it there.
    ///
    /// ```
    /// use otto_core::socket::{Options, Server};
    /// use otto_core::{Json, Key};
    /// let folder = tempfile::tempdir().unwrap();
    /// let mut server = Server::bind(&folder.path().join("s"), Options::default()).unwrap();
    /// server.restore("{\"otto-store\":1,\"seq\":1,\"keys\":{\"a\":{\"rev\":1,\"value\":7}}}").unwrap();
    /// let running = server.spawn();
    /// let key = Key::parse("a").unwrap();
    /// assert_eq!(running.handle().get(&key).unwrap(), Some(Json::number(7)));
    /// ```
    ///
    /// # Errors
    /// As [`Handle::restore`].
    pub fn restore(&mut self, text: &str) -> Result<()> {
        self.store.restore(text, 0)
    }

    /// A way to this server for other threads.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Serves on this thread until [`Handle::stop`]. The socket is gone afterwards.
    ///
    /// # Errors
    /// When waiting for events fails, which leaves no way to go on.
    pub fn run(self) -> Result<()> {
        let Server { poll, listener, bound, progress, store, options, orders, handle, path } = self;
        let result = EventLoop::new(poll, listener, progress, store, options, orders).run();
        drop((bound, handle));
        result.map_err(|error| Error::io("serve", &path, error))
    }

    /// Serves on a thread of its own.
    #[must_use]
    pub fn spawn(self) -> Running {
        let (handle, path) = (self.handle(), self.path.clone());
        // The size is the usual one; unless told, the library would look for it in the environment,
        // which Python may be changing just then.
        let thread = thread::Builder::new().stack_size(2 << 20).spawn(move || self.run());
        let thread = thread.expect("the system has room for one more thread");
        Running { handle, path, thread: Some(thread), owner: std::process::id() }
    }
}

/// A server on its own thread; dropping it stops it.
#[derive(Debug)]
pub struct Running {
    handle: Handle,
    path: PathBuf,
    thread: Option<JoinHandle<Result<()>>>,
    owner: u32,
}

impl Running {
    /// A way to the server.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The socket's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Stops the server and waits for its end.
    ///
    /// # Errors
    /// What ended it, if that was not this call.
    pub fn stop(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        // The thread of a forked child's parent is not in the child.
        let Some(thread) = self.thread.take().filter(|_| self.owner == std::process::id()) else {
            return Ok(());
        };
        let _ = self.handle.stop();
        thread.join().unwrap_or(Ok(()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.end();
    }
}
