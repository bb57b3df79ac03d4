//! Values in task output files: `output.<task>.json`, one JSON object each.
//!
//! A reader opens the file and takes no lock. A writer holds the `flock` on a lock file beside it
//! and puts a whole new file in place by rename, so that at any moment, whoever is killed, the old
//! file or the new one stands there. The new content is synced to the disk before the rename: after
//! a power cut, too, one of the two is there whole; which one is not promised.

mod replace;
mod store;

pub use replace::{read, update, write};
pub use store::FileStore;
