//! Every bound on what comes from outside, units last in the name.
//!
//! A length read from a socket, a file, a region or the command line is compared with one of
//! these before anything is allocated for it.

/// Longest key, in bytes of UTF-8.
pub const KEY_BYTES_MAX: usize = 512;
/// Longest task name, in characters (all ASCII).
pub const TASK_NAME_BYTES_MAX: usize = 100;
/// Longest pattern, in bytes of UTF-8.
pub const PATTERN_BYTES_MAX: usize = 512;
/// Largest JSON value by default, in bytes of compact text; the server's limit is configurable.
pub const VALUE_BYTES_MAX: usize = 16 << 20;
/// Deepest nesting of arrays and objects in a value.
pub const JSON_DEPTH_MAX: usize = 128;
/// Largest frame of the binary dialect whatever is configured, in bytes; its length therefore
/// never begins with a byte above 0x08, which is how the dialects are told apart.
pub const FRAME_BYTES_MAX: usize = 128 << 20;
/// Longest JSON text of a list that is added to element by element, in bytes: what a frame holds.
pub const LIST_BYTES_MAX: usize = FRAME_BYTES_MAX - 1024;
/// Past events kept for those who subscribe later, in bytes.
pub const HISTORY_BYTES_MAX: usize = 8 << 20;
/// Largest document or output file, in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 256 << 20;
/// Size a document is created with unless told otherwise, in bytes.
pub const DOCUMENT_BYTES_DEFAULT: usize = 64 << 10;
/// Most clients connected to one server.
pub const CLIENTS_MAX: usize = 8192;
/// Unfinished requests of all clients together, in bytes.
pub const INPUT_TOTAL_BYTES_MAX: usize = 512 << 20;
/// Replies waiting for one client above which its requests are no longer read, in bytes.
pub const OUTPUT_PAUSE_BYTES: usize = 1 << 20;
/// Replies and events waiting for all clients together above which nobody's requests are read who has
/// any of them waiting, in bytes.
pub const OUTPUT_TOTAL_BYTES_MAX: usize = 256 << 20;
/// Most arguments of one request of RESP, the command's name among them.
pub const RESP_ARGUMENTS_MAX: usize = 65_536;
/// Events waiting for one subscriber above which it is disconnected with a reason, in bytes.
pub const SUBSCRIBER_BACKLOG_BYTES_MAX: usize = 32 << 20;
/// Most operations of one batch: nobody else is served for the 12 ms they take.
pub const BATCH_OPERATIONS_MAX: usize = 16_384;
/// Most locks one connection can hold.
pub const LOCKS_PER_CLIENT_MAX: usize = 1024;
/// Most locks that can be held at a time.
pub const LOCKS_MAX: usize = 65_536;
/// Most tasks of which a server that was told no names notes that they were cancelled.
pub const CANCELLED_TASKS_MAX: usize = 10_000;
/// Longest message of a progress record, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 4096;
/// Size asked for a stream's pipe, in bytes: three times the throughput of the default here.
pub const PIPE_BYTES: i32 = 1 << 20;
/// Read ahead of a stream's slowest consumer by the relay, in bytes.
pub const RELAY_BUFFER_BYTES: usize = 1 << 20;
/// Longest wait for a lock under which no progress is made, in seconds.
pub const LOCK_WAIT_SECONDS: u64 = 10;
/// Longest description of a dataset, in bytes of JSON.
pub const DATASET_ABOUT_BYTES_MAX: usize = 64 << 10;
/// Memory taken for a dataset at a time, in bytes: a signal that comes meanwhile undoes no more.
pub const ALLOCATION_STEP_BYTES: u64 = 64 << 20;
/// Bytes of a dataset copied at a time: a few milliseconds between two questions whether to go on.
pub const COPY_STEP_BYTES: usize = 4 << 20;
