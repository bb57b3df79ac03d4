//! Who holds locks, or waits for them, in this process, and what each holder of one lock object has.

use crate::errors::usage;
use crate::fork::{self, PerProcess};
use crate::tied::Tied;
use otto_core::socket::{Client, Pending};
use pyo3::prelude::*;
use std::collections::HashMap;
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
        Holder::Thread(gettid())
    }

    pub(crate) fn is_task(self) -> bool {
        matches!(self, Holder::Task(_))
    }
}

/// Which of this process's threads and tasks have, or wait for, which lock of which server.
static CLAIMS: PerProcess<Mutex<Claims>> = PerProcess::new();

type Claims = HashMap<(PathBuf, String), HashMap<Holder, Claim>>;

/// Where a lock was asked for.
struct Claim {
    thread: i32,
    /// The task that ran there, if any.
    task: Option<usize>,
    /// By a block, or else by `acquire()`.
    by_block: bool,
}

fn claims(py: Python<'_>) -> MutexGuard<'static, Claims> {
    CLAIMS.get(py).lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes that `holder`, in this thread, wants the lock; an error where it would wait for itself.
pub(crate) fn claim(
    py: Python<'_>,
    server: PathBuf,
    name: String,
    slots: u32,
    holder: Holder,
    by_block: bool,
) -> PyResult<()> {
    let task = match holder {
        Holder::Thread(_) => current_task(py)?,
        Holder::Task(task) => Some(task),
    };
    let claim = Claim { thread: gettid(), task, by_block };
    let mut claims = claims(py);
    let of_lock = claims.entry((server, name.clone())).or_default();
    if let Some(message) = refusal(of_lock, &name, slots, holder, &claim) {
        return Err(usage(py, message));
    }
    of_lock.insert(holder, claim);
    Ok(())
}

/// Why `holder` would wait for ever, if it would.
fn refusal(
    others: &HashMap<Holder, Claim>,
    name: &str,
    slots: u32,
    holder: Holder,
    claim: &Claim,
) -> Option<String> {
    let this_thread = format!("this thread holds lock {name} already: locks do not nest");
    let this_task =
        format!("this task holds lock {name} already, or waits for it: locks do not nest");
    if others.contains_key(&holder) {
        return Some(if holder.is_task() { this_task } else { this_thread });
    }
    if holder.is_task() {
        // What another task of the loop has it may still give back; a block around the loop not.
        let around = others.get(&Holder::Thread(claim.thread))?;
        let outside = around.task.is_none() && around.by_block;
        return (around.task == claim.task || outside).then_some(this_thread);
    }
    if claim.task.is_some_and(|task| others.contains_key(&Holder::Task(task))) {
        return Some(this_task);
    }
    let beside = others.iter().any(|(other, at)| other.is_task() && at.thread == claim.thread);
    (beside && slots == 1).then(|| {
        format!(
            "a task of this thread holds lock {name}, or waits for it, and can't go on while the \
             thread waits: use async with"
        )
    })
}

/// The task that runs in this thread.
fn current_task(py: Python<'_>) -> PyResult<Option<usize>> {
    // Where nobody has imported it, no loop of its runs.
    let modules = py.import("sys")?.getattr("modules")?;
    let asyncio = modules.call_method1("get", ("asyncio.events",))?;
    if asyncio.is_none() || asyncio.call_method0("_get_running_loop")?.is_none() {
        return Ok(None);
    }
    let task = py.import("asyncio")?.call_method0("current_task")?;
    Ok((!task.is_none()).then(|| task.as_ptr().addr()))
}

/// Notes that `holder` has nothing of the lock any more.
pub(crate) fn disclaim(py: Python<'_>, server: PathBuf, name: String, holder: Holder) {
    let mut claims = claims(py);
    let lock = (server, name);
    if let Some(of_lock) = claims.get_mut(&lock) {
        of_lock.remove(&holder);
        if of_lock.is_empty() {
            claims.remove(&lock);
        }
    }
}

fn gettid() -> i32 {
    rustix::thread::gettid().as_raw_nonzero().get()
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
        let of_its_kind = self.0.iter().filter(|(holder, _)| holder.is_task() == leaver.is_task());
        let open = of_its_kind.filter(|(_, entry)| entry.blocks > 0);
        match (open.clone().next(), open.map(|(_, entry)| entry.blocks).sum()) {
            (Some((holder, _)), 1) => Ok(Some(*holder)),
            (Some(_), several) => Err(several),
            // Acquired by hand, if at all.
            (None, _) => Ok(entered(&leaver).map(|_| leaver)),
        }
    }

    /// Everybody who has something.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Holder> + '_ {
        self.0.drain().map(|(holder, _)| holder)
    }
}
