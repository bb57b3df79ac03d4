//! Named shared memory: documents (JSON, updated in place), datasets (bytes, immutable once
//! published) and anonymous memory for forked children.
//!
//! The bytes of documents travel by `pread` and `pwrite`, so that a full memory or a file that
//! someone cut short is an error and never a signal; only the first two pages of a document's
//! control file are mapped.

mod abandoned;
mod builder;
mod commit;
mod control;
mod copy;
mod current;
mod dataset;
mod document;
mod filling;
mod foreign;
mod label;
mod layout;
mod map;
mod place;
mod placing;
mod pouring;
mod public;
mod publish;
mod read;
mod regions;
mod room;
mod sequence;
mod shared;
mod stat;
mod store;
mod unpublished;
mod wait;

pub use builder::DatasetBuilder;
pub use dataset::{Dataset, DatasetBytes, DatasetInfo};
pub use document::{Document, SIZE_DEFAULT};
pub use publish::Publisher;
pub use regions::{RegionEntry, RegionKind, regions};
pub use shared::SharedMemory;
pub use stat::DocumentStat;
pub use store::DocumentStore;
pub use unpublished::Spill;
