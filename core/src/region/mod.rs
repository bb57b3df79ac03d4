//! Named shared memory: documents (JSON, updated in place), datasets (bytes, immutable once
//! published) and anonymous memory for forked children.
//!
//! The bytes of documents travel by `pread` and `pwrite`, so that a full memory or a file that
//! someone cut short is an error and never a signal; only the first page of a document's control
//! file is mapped.

mod commit;
mod control;
mod dataset;
mod document;
mod footer;
mod foreign;
mod layout;
mod map;
mod place;
mod public;
mod shared;
mod store;

pub use dataset::{Dataset, DatasetInfo};
pub use document::{Document, SIZE_DEFAULT};
pub use shared::SharedMemory;
pub use store::DocumentStore;
