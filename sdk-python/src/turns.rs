//! One at a time, where a turn may last long: a lock whose waiters answer Ctrl-C and need no GIL.

use crate::crossing::blocking;
use otto_core::{Error, ErrorKind, Result, TICK, Tick};
use pyo3::prelude::*;
use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Something that one thread at a time has.
pub(crate) struct Turns<T> {
    /// Never locked for longer than it takes to look.
    table: Mutex<Table<T>>,
    freed: Condvar,
}

struct Table<T> {
    /// `None` while somebody has it.
    free: Option<Box<T>>,
    /// Threads that wait for their turn: waking nobody would be a system call all the same.
    waiting: usize,
}

/// The right to use it, until dropped.
pub(crate) struct Turn<'a, T> {
    /// Always `Some` before the drop.
    held: Option<Box<T>>,
    turns: &'a Turns<T>,
}

impl<T: Send> Turns<T> {
    pub(crate) fn new(value: T) -> Turns<T> {
        let table = Table { free: Some(Box::new(value)), waiting: 0 };
        Turns { table: Mutex::new(table), freed: Condvar::new() }
    }

    /// The next turn, if nobody has one.
    pub(crate) fn try_take(&self) -> Option<Turn<'_, T>> {
        self.table().free.take().map(|held| Turn { held: Some(held), turns: self })
    }

    /// The next turn, waited for.
    pub(crate) fn take(&self, py: Python<'_>, deadline: Option<Instant>) -> PyResult<Turn<'_, T>> {
        match self.try_take() {
            Some(turn) => Ok(turn),
            None => blocking(py, |tick| {
                self.wait(deadline, tick)?.ok_or_else(|| {
                    let message = "timeout: another thread is reading this stream";
                    Error::new(ErrorKind::TimedOut, message)
                })
            }),
        }
    }

    /// The next turn, waited for without the GIL; `None` if there is none before `deadline`.
    pub(crate) fn wait(
        &self,
        deadline: Option<Instant>,
        tick: Tick<'_>,
    ) -> Result<Option<Turn<'_, T>>> {
        loop {
            let mut table = self.table();
            table.waiting += 1;
            let taken = |table: &mut Table<T>| table.free.is_none();
            let wait = self.freed.wait_timeout_while(table, TICK, taken);
            let (mut table, _) = wait.unwrap_or_else(PoisonError::into_inner);
            table.waiting -= 1;
            if let Some(held) = table.free.take() {
                return Ok(Some(Turn { held: Some(held), turns: self }));
            }
            drop(table);
            tick()?;
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Ok(None);
            }
        }
    }
}

impl<T> Turns<T> {
    fn table(&self) -> MutexGuard<'_, Table<T>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        let mut table = self.turns.table();
        table.free = self.held.take();
        let awaited = table.waiting > 0;
        drop(table);
        if awaited {
            self.turns.freed.notify_one();
        }
    }
}

impl<T> Deref for Turn<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.held {
            Some(held) => held,
            None => unreachable!("a turn holds its value until it is dropped"),
        }
    }
}

impl<T> DerefMut for Turn<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        match &mut self.held {
            Some(held) => held,
            None => unreachable!("a turn holds its value until it is dropped"),
        }
    }
}
