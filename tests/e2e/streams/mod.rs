//! Streams between running tasks: whole, in order, and over when their producer is.

mod ends;
mod graphs;
mod killed;
mod shapes;
mod stalls;

/// otto-run's memory may never be more, in KiB, whatever flows.
const MEMORY_KIB_MAX: u64 = 64 << 10;
