//! Whether another core can work for us while this one looks for the result.

use rustix::thread::sched_getaffinity;
use std::sync::OnceLock;

/// Whether this process may use more than one core. One system call, the first time: the
/// standard library would read the control groups' files too, which costs more than a request.
pub(crate) fn several() -> bool {
    static SEVERAL: OnceLock<bool> = OnceLock::new();
    *SEVERAL.get_or_init(|| sched_getaffinity(None).is_ok_and(|set| set.count() > 1))
}
