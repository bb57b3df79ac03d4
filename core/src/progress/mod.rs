//! Progress: what a task reports, how fast it goes and how long it will still take.

mod estimate;
mod record;

pub use estimate::Estimate;
pub use record::{Record, one_line};
