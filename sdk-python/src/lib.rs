//! `otto._otto`: the Python module over `otto-core`.
//!
//! Every call that may block goes through [`crossing`]; values are converted in [`convert`],
//! errors in [`errors`]. What a forked child must not share with its parent is kept
//! [per process](fork).

mod arguments;
mod barrier;
mod batch;
mod buffer;
mod cancellation;
mod client;
mod convert;
mod crossing;
mod dataset_memory;
mod datasets;
mod decode;
mod encode;
mod errors;
mod exit;
mod fork;
mod format;
mod functions;
mod holders;
mod input_pipe;
mod keys;
mod later;
mod layout;
mod lock;
mod npy;
mod output_pipe;
mod output_stream;
mod place;
mod progress;
mod progress_report;
mod progress_reporter;
mod put_dataset;
mod put_file;
mod records;
mod region;
mod reply;
mod serve;
mod shared_memory;
mod stream;
mod subscription;
mod tied;
mod turns;
mod values;
mod waiter;

use pyo3::prelude::*;

/// The native half of `otto`.
#[pymodule]
mod _otto {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::barrier::barrier;
    #[pymodule_export]
    use crate::batch::{Batch, batch};
    #[pymodule_export]
    use crate::cancellation::{cancel, cancelled};
    #[pymodule_export]
    use crate::client::OttoClient;
    #[pymodule_export]
    use crate::dataset_memory::{DatasetMemory, element};
    #[pymodule_export]
    use crate::datasets::{OpenDataset, get_dataset, list_datasets, remove_dataset};
    #[pymodule_export]
    use crate::functions::{
        append, delete, get, get_many, get_with_revision, incr, list_keys, publish, set, stats,
        subscribe, ttl, wait,
    };
    #[pymodule_export]
    use crate::input_pipe::RecordReader;
    #[pymodule_export]
    use crate::lock::{Lock, lock, locks};
    #[pymodule_export]
    use crate::output_pipe::RecordWriter;
    #[pymodule_export]
    use crate::progress::{Progress, progress};
    #[pymodule_export]
    use crate::put_dataset::{put_elements, put_parts};
    #[pymodule_export]
    use crate::put_file::put_file;
    #[pymodule_export]
    use crate::region::TaskDataRegion;
    #[pymodule_export]
    use crate::reply::{PendingReply, begin_barrier, begin_wait};
    #[pymodule_export]
    use crate::serve::{Server, serve};
    #[pymodule_export]
    use crate::shared_memory::SharedMemory;
    #[pymodule_export]
    use crate::subscription::{Event, Subscription};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        otto_core::interrupt::install(crate::crossing::check_signals);
        crate::fork::register(module)?;
        crate::exit::register(module)
    }
}
