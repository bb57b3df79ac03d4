//! Documents and datasets under abuse, and their format byte for byte.
#![allow(missing_docs, clippy::unwrap_used)]

mod damage;
mod damage_live;
mod datasets;
mod datasets_damage;
mod datasets_killed;
mod format;
mod killed;
mod linear;
mod mutants;
mod naive;
mod overtaken;
mod races;
mod readonly;
#[allow(dead_code)]
mod roles;
mod scripts;
mod space;
mod stepped;
mod stopped;
mod strangers;
mod torn;
mod traced;
mod turns;
mod waiting;

use otto_core::TaskName;
use otto_core::run::{Descendants, Run};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The run of this process, of which there can be one at a time; removed with all its regions.
pub(crate) struct OwnRun {
    pub(crate) run: Run,
    _alone: MutexGuard<'static, ()>,
}

pub(crate) fn own_run() -> OwnRun {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    OwnRun { run: Run::create(Descendants::Left).unwrap(), _alone: alone }
}

pub(crate) fn task(name: &str) -> TaskName {
    TaskName::parse(name).unwrap()
}
