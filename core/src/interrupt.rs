//! A question for the program around this library: should a call that blocks go on?
//!
//! Waits take a [`Tick`](crate::Tick) for this. Calls that should return at once may block too,
//! when a server or the holder of a lock is stopped; they ask here.

use crate::error::Result;
use std::sync::OnceLock;

static CHECK: OnceLock<fn() -> Result<()>> = OnceLock::new();

/// Has every call that blocks ask `check` at least every 50 ms, on its own thread; an error from
/// it ends the call with that error. Installed once; later installations change nothing.
///
/// ```
/// otto_core::interrupt::install(|| Ok(()));
/// ```
pub fn install(check: fn() -> Result<()>) {
    let _ = CHECK.set(check);
}

pub(crate) fn check() -> Result<()> {
    CHECK.get().map_or(Ok(()), |check| check())
}
