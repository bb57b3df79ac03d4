//! Streams between running processes: pipes with and without a name.
//!
//! - [`create`], [`path`], [`begin_read`], [`open_read`], [`open_write`]: a FIFO in the run's folder,
//!   for programs that meet by name.
//! - [`pipe()`]: a stream's two ends, for whoever starts both sides.
//! - [`copy`]: bytes from one descriptor to another without passing through memory of ours.
//! - [`holders`], [`queued`], [`look`]: who has a FIFO open and what is in it, without disturbing it.
//! - [`check_in`], [`failed_producer`]: whether a stream ended or broke off.
//! - [`Relay`]: what stands between several producers or consumers of one stream.
//!
//! End of stream is the kernel's: a reader sees it when the last writer has closed. So whoever
//! keeps a stream open while nobody writes holds a *writing* end only. Were it a reading one too,
//! a writer would never learn that its readers have gone.

mod copy;
mod failure;
mod holders;
mod named;
mod pipe;
mod relay;

pub use copy::{Copied, copy, copy_counting};
pub use failure::{check_in, failed_producer, is_checked, note_failure, remove_notes};
pub use holders::{Direction, Holder, holders, look, queued};
pub use named::{
    Unread, begin_read, create, list, open_read, open_write, open_writes, path, remove,
};
pub use pipe::{Pipe, enlarge, pipe};
pub use relay::{
    Control, Delivery, EdgeState, Event, Motion, Quota, Relay, Sampling, SinkId, SourceId, Spill,
    Stall,
};
