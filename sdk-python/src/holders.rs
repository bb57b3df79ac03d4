//! Who holds locks, or waits for them, in this process, and what each holder of one lock object has.

use crate::errors::usage;
use crate::fork::{self, PerProcess};
use crate::tied::Tied;
use otto_core::socket::{Client, Pending};
use pyo3::prelude::*;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Who holds a lock within this process.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    Thread(i32),
    /// A task of an event loop, by its address.
    Task(usize),
}

impl Holder {
    pub(crate) fn this_thread() -> Holder {
        Holder::Thread(rustix::thread::gettid().as_raw_nonzero().get())
    }

    pub(crate) fn is_task(self) -> bool {
        matches!(self, Holder::Task(_))
    }
}

/// A lock of a server, and who holds it.
type Claim = (PathBuf, String, Holder);

/// Which of this process's threads and tasks have, or wait for, which lock of which server.
static CLAIMS: PerProcess<Mutex<HashSet<Claim>>> = PerProcess::new();

fn claims(py: Python<'_>) -> MutexGuard<'static, HashSet<Claim>> {
    CLAIMS.get(py).lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes that `holder` wants the lock; an error where it has it, or waits, already.
pub(crate) fn claim(py: Python<'_>, server: PathBuf, name: String, holder: Holder) -> PyResult<()> {
    let (who, how) = match holder {
        Holder::Thread(_) => ("thread", ""),
        Holder::Task(_) => ("task", ", or waits for it"),
    };
    let message = format!("this {who} holds lock {name} already{how}: locks do not nest");
    if claims(py).insert((server, name, holder)) { Ok(()) } else { Err(usage(py, message)) }
}

/// Notes that `holder` has nothing of the lock any more.
pub(crate) fn disclaim(py: Python<'_>, server: PathBuf, name: String, holder: Holder) {
    claims(py).remove(&(server, name, holder));
}

/// What a holder has.
pub(crate) enum Held {
    /// Waited for by a task.
    Awaited(Tied<Pending>),
    Granted(Tied<Client>, u64),
}

/// What the holders have of one lock object, and the blocks they have entered.
#[derive(Default)]
pub(crate) struct Holders(HashMap<Holder, Entry>);

struct Entry {
    /// `None` where it was given back by hand within a block.
    held: Option<Held>,
    /// How many blocks it has entered that nobody has left.
    blocks: usize,
    /// A forked child has nothing of what its parent held, and leaves none of its blocks.
    generation: u32,
}

impl Holders {
    /// Forgets what a fork has left with the parent.
    pub(crate) fn ours(&mut self) -> &mut Holders {
        self.0.retain(|_, entry| entry.generation == fork::generation());
        self
    }

    pub(crate) fn put(&mut self, holder: Holder, held: Held) {
        self.entry(holder).held = Some(held);
    }

    /// Notes that `holder` is in a block now.
    pub(crate) fn entered(&mut self, holder: Holder) {
        self.entry(holder).blocks += 1;
    }

    fn entry(&mut self, holder: Holder) -> &mut Entry {
        let generation = fork::generation();
        self.0.entry(holder).or_insert(Entry { held: None, blocks: 0, generation })
    }

    pub(crate) fn get(&mut self, holder: Holder) -> Option<&mut Held> {
        self.0.get_mut(&holder)?.held.as_mut()
    }

    /// What `holder` has, which has nothing from then on. It stays in its blocks.
    pub(crate) fn take(&mut self, holder: Holder) -> Option<Held> {
        let entry = self.0.get_mut(&holder)?;
        let held = entry.held.take();
        if entry.blocks == 0 {
            self.0.remove(&holder);
        }
        held
    }

    /// What the block that `holder` entered last has taken, and has not given back.
    pub(crate) fn leave(&mut self, holder: Holder) -> Option<Held> {
        if let Some(entry) = self.0.get_mut(&holder) {
            entry.blocks = entry.blocks.saturating_sub(1);
        }
        self.take(holder)
    }

    /// Who entered the block that `leaver` is leaving: mostly itself. A block knows nothing of
    /// itself, but it is one that is open; where `leaver` is in none, and several are open, the
    /// error is their number.
    pub(crate) fn whose(&self, leaver: Holder) -> Result<Option<Holder>, usize> {
        let entered = |holder: &Holder| self.0.get(holder).map(|entry| entry.blocks);
        if entered(&leaver).is_some_and(|blocks| blocks > 0) {
            return Ok(Some(leaver));
        }
        let of_its_kind = |holder: &&Holder| holder.is_task() == leaver.is_task();
        let mut open = self.0.keys().filter(of_its_kind).filter(|holder| entered(holder) > Some(0));
        match (open.next(), open.count()) {
            (Some(holder), 0) => Ok(Some(*holder)),
            (Some(_), others) => Err(others + 1),
            // Acquired by hand, if at all.
            (None, _) => Ok(entered(&leaver).map(|_| leaver)),
        }
    }

    /// Everybody who has something.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Holder> + '_ {
        self.0.drain().map(|(holder, _)| holder)
    }
}
