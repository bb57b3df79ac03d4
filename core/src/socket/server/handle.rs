//! Reaching a running server from other threads of its process.

use super::super::dispatch::Dispatch;
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
        let task = task.clone();
        self.order(Order::Work(Box::new(move |dispatch| dispatch.end_task(task.as_str()))))
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
        self.ask(move |dispatch| dispatch.store.get(key.as_str()).map(|entry| entry.value.clone()))
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
                Some((name, dispatch.store.get(key)?.value.clone()))
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

    /// Ends the server; clients see their connections close.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn stop(&self) -> Result<()> {
        self.order(Order::Stop)
    }
}
