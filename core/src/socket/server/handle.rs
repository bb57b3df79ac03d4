//! Reaching a running server from other threads of its process.

use super::super::dispatch::Dispatch;
use super::super::producers::ENDED;
use super::super::waits::Waiting;
use crate::error::{Error, ErrorKind, Result};
use crate::json::Json;
use crate::key::{Key, Pattern, TaskName};
use mio::Waker;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

/// What the command thread is asked to do.
pub(super) enum Order {
    /// Work on the state.
    Work(Box<dyn FnOnce(&mut Dispatch) + Send>),
    /// Take what shells have reported up to now, and say so.
    TakeProgress(Sender<()>),
    /// End the server.
    Stop,
}

/// A way to a running server that needs no socket. Cheap to clone; every call is carried out by
/// the one command thread, in turn with the clients' requests.
#[derive(Clone)]
pub struct Handle {
    orders: Sender<Order>,
    waker: Arc<Waker>,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Handle")
    }
}

fn ended() -> Error {
    Error::new(ErrorKind::Unreachable, "the server has ended")
}

impl Handle {
    pub(super) fn new(orders: Sender<Order>, waker: Arc<Waker>) -> Handle {
        Handle { orders, waker }
    }

    fn order(&self, order: Order) -> Result<()> {
        self.orders.send(order).map_err(|_| ended())?;
        self.waker.wake().map_err(|_| ended())
    }

    fn ask<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Dispatch) -> R + Send + 'static,
    ) -> Result<R> {
        let (sender, answer) = channel();
        self.order(Order::Work(Box::new(move |dispatch| {
            // Whoever asked may have gone.
            let _ = sender.send(work(dispatch));
        })))?;
        answer.recv().map_err(|_| ended())
    }

    /// Names a task of the run: waits for its keys last until [`Handle::task_ended`].
    ///
    /// # Errors
    /// [`ErrorKind::Unreachable`] when the server has ended; so for every call here.
    pub fn expect_task(&self, task: &TaskName) -> Result<()> {
        let task = task.clone();
        self.order(Order::Work(Box::new(move |dispatch| dispatch.expect_task(task.as_str()))))
    }

    /// A task has ended: clients waiting for what only it could set are told so.
    ///
    /// # Errors
    /// When the server has ended.
    pub fn task_ended(&self, task: &TaskName) -> Result<()> {
        self.task_became(task, ENDED)
    }

    /// As [`Handle::task_ended`], for a task of which something else is to be said: what follows
    /// its name, such as `was cancelled`.
    ///
    /// # Errors
    /// When the server has ended.
    pub fn task_became(&self, task: &TaskName, what: &str) -> Result<()> {
        let (task, what) = (task.clone(), what.to_owned());
        self.order(Order::Work(Box::new(move |dispatch| dispatch.end_task(task.as_str(), &what))))
    }

    /// Stores a value, as a client's SET would.
    ///
    /// # Errors
    /// When the value is above the limit, or the server has ended.
    pub fn set(&self, key: &Key, value: &Json) -> Result<()> {
        let (key, value) = (key.clone(), value.clone());
        self.ask(move |dispatch| dispatch.set_value(key.as_str(), &value))?
    }

    /// A value, `None` when absent.
    ///
    /// # Errors
    /// When the server has ended.
    pub fn get(&self, key: &Key) -> Result<Option<Json>> {
        let key = key.clone();
        self.ask(move |dispatch| {
            let entry = dispatch.store.get(key.as_str());
            entry.map(|entry| Json::from_checked(entry.value.json()))
        })
    }

    /// Everything a task has set: names without the task, and values, sorted by name.
    ///
    /// # Errors
    /// When the server has ended.
    pub fn task_values(&self, task: &TaskName) -> Result<Vec<(String, Json)>> {
        let prefix = format!("{task}.");
        self.ask(move |dispatch| {
            let Ok(pattern) = Pattern::parse(&format!("{prefix}*")) else { return Vec::new() };
            let keys = dispatch.store.keys(&pattern).into_iter();
            keys.filter_map(|key| {
                let name = key.strip_prefix(&prefix)?.to_owned();
                Some((name, Json::from_checked(dispatch.store.get(key)?.value.json())))
            })
            .collect()
        })
    }

    /// Who waits now for a key of which task: the task that waits, where that is known, and the
    /// other; `_` stands for keys of no task.
    ///
    /// ```
    /// use otto_core::socket::{Client, Options, Server};
    /// use otto_core::{Key, Values};
    /// use std::time::{Duration, Instant};
    /// let folder = tempfile::tempdir().unwrap();
    /// let path = folder.path().join("otto.sock");
    /// let running = Server::bind(&path, Options::default()).unwrap().spawn();
    /// let waiting = std::thread::spawn(move || {
    ///     let deadline = Some(Instant::now() + Duration::from_millis(200));
    ///     let mut client = Client::connect(&path).unwrap();
    ///     client.wait(&Key::parse("build.done").unwrap(), deadline, &mut || Ok(())).unwrap_err();
    /// });
    /// while running.handle().waits().unwrap().is_empty() {}
    /// assert!(running.handle().waits().unwrap().contains(&(None, "build".to_owned())));
    /// waiting.join().unwrap();
    /// ```
    ///
    /// # Errors
    /// When the server has ended.
    pub fn waits(&self) -> Result<BTreeSet<(Option<String>, String)>> {
        self.ask(|dispatch| dispatch.waits())
    }

    /// Everything that is stored, as readable JSON with a line a key: values, revisions, and the
    /// milliseconds that keys which go by themselves still have.
    ///
    /// ```
    /// use otto_core::socket::{Options, Server};
    /// use otto_core::{Json, Key};
    /// let folder = tempfile::tempdir().unwrap();
    /// let server = |name| {
    ///     Server::bind(&folder.path().join(name), Options::default()).unwrap().spawn()
    /// };
    /// let (first, second, key) = (server("a"), server("b"), Key::parse("build.version").unwrap());
    /// first.handle().set(&key, &Json::string("1.2.3")).unwrap();
    /// let text = first.handle().snapshot().unwrap();
    /// assert!(text.contains(r#""build.version":{"rev":1,"value":"1.2.3"}"#));
    /// second.handle().restore(&text).unwrap();
    /// assert_eq!(second.handle().get(&key).unwrap(), Some(Json::string("1.2.3")));
    /// ```
    ///
    /// # Errors
    /// When the server has ended.
    pub fn snapshot(&self) -> Result<String> {
        self.ask(|dispatch| dispatch.snapshot())
    }

    /// Takes over what [`Handle::snapshot`] made: for a server that stores nothing yet.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] when `text` is something else, [`ErrorKind::TooLarge`] above a limit,
    /// and when the server has ended.
    pub fn restore(&self, text: &str) -> Result<()> {
        let text = text.to_owned();
        self.ask(move |dispatch| dispatch.restore(&text))?
    }

    /// Who waits now for which key, and until when.
    ///
    /// # Errors
    /// When the server has ended.
    pub fn waiting(&self) -> Result<Vec<Waiting>> {
        self.ask(|dispatch| dispatch.waiting())
    }

    /// Ends waits that can't be fulfilled, those with the numbers `doomed`: each client is told
    /// `why`, with status 6. Does nothing unless all of `together` last still; whether they did.
    ///
    /// ```
    /// use otto_core::socket::{Client, Options, Server};
    /// use otto_core::{ErrorKind, Key, TaskName, Values};
    /// let folder = tempfile::tempdir().unwrap();
    /// let path = folder.path().join("otto.sock");
    /// let running = Server::bind(&path, Options::default()).unwrap().spawn();
    /// let waiting = std::thread::spawn(move || {
    ///     let mut client = Client::connect(&path).unwrap();
    ///     client.wait(&Key::parse("build.done").unwrap(), None, &mut || Ok(())).unwrap_err()
    /// });
    /// let handle = running.handle();
    /// let number = loop {
    ///     if let [wait] = &handle.waiting().unwrap()[..] {
    ///         break wait.number;
    ///     }
    /// };
    /// assert!(!handle.end_waits(&[number, 99], &[number], "never").unwrap());
    /// assert!(handle.end_waits(&[number], &[number], "a circle: build waits for build.done").unwrap());
    /// let error = waiting.join().unwrap();
    /// assert_eq!(error.kind(), ErrorKind::ProducerEnded);
    /// let line = "producer ended: build.done: a circle: build waits for build.done";
    /// assert_eq!(error.to_string(), line);
    /// ```
    ///
    /// # Errors
    /// When the server has ended.
    pub fn end_waits(&self, together: &[u64], doomed: &[u64], why: &str) -> Result<bool> {
        let (together, doomed, why) = (together.to_owned(), doomed.to_owned(), why.to_owned());
        self.ask(move |dispatch| dispatch.end_waits(&together, &doomed, &why))
    }

    /// Has what was written into the FIFO for progress up to now told before this returns: the
    /// server looks there now and then only, and somebody's end may be told sooner.
    ///
    /// ```
    /// use otto_core::socket::{Options, Server};
    /// let folder = tempfile::tempdir().unwrap();
    /// let fifo = folder.path().join("progress");
    /// let (told, records) = std::sync::mpsc::channel();
    /// let options = Options {
    ///     progress_fifo: Some(fifo.clone()),
    ///     on_progress: Some(Box::new(move |record| told.send(record).unwrap())),
    ///     ..Options::default()
    /// };
    /// let running = Server::bind(&folder.path().join("s"), options).unwrap().spawn();
    /// std::fs::write(fifo, "build\t\t3\t10\t\n").unwrap();
    /// running.handle().take_progress().unwrap();
    /// assert_eq!(records.try_recv().unwrap().line(None), "build: 3/10 (30%)");
    /// ```
    ///
    /// # Errors
    /// When the server has ended.
    pub fn take_progress(&self) -> Result<()> {
        let (taken, answer) = channel();
        self.order(Order::TakeProgress(taken))?;
        answer.recv().map_err(|_| ended())
    }

    /// Ends the server, once what was written into the FIFO for progress is told, and its last figures to
    /// who waits for them; clients see their connections close.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn stop(&self) -> Result<()> {
        self.order(Order::Stop)
    }
}
