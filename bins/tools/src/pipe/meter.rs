//! How much has passed, shown by a thread of its own: whoever moves the bytes only counts them.

use crate::copy_bar::{CopyBar, Shown};
use clap::ArgMatches;
use std::io::IsTerminal;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const FRAME: Duration = Duration::from_millis(100);

/// Counts bytes, and shows them as the command line and standard error say.
#[derive(Debug)]
pub(super) struct Meter {
    shared: Arc<Shared>,
    painter: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    bytes: AtomicU64,
    ended: AtomicBool,
}

impl Meter {
    /// `total` is what there will be, where that is known. Nothing is shown where one of the `ends`
    /// is a terminal, on which it would stand between the lines.
    pub(super) fn start<'a>(
        arguments: &ArgMatches,
        label: &str,
        total: Option<u64>,
        ends: impl IntoIterator<Item = &'a OwnedFd>,
    ) -> Meter {
        let shared = Arc::new(Shared::default());
        let shown = if arguments.get_flag("progress") {
            Shown::Always
        } else if arguments.get_flag("quiet") || ends.into_iter().any(IsTerminal::is_terminal) {
            Shown::Never
        } else {
            Shown::OnTerminal
        };
        let bar = CopyBar::shown(label, total, shown);
        let painter = bar.and_then(|mut bar| {
            let shared = Arc::clone(&shared);
            let paint = move || {
                while !shared.ended.load(Ordering::Acquire) {
                    bar.tick(shared.bytes.load(Ordering::Relaxed));
                    thread::park_timeout(FRAME);
                }
                bar.finish(shared.bytes.load(Ordering::Relaxed));
            };
            // Without a thread there is just no bar.
            thread::Builder::new().name("meter".to_owned()).spawn(paint).ok()
        });
        Meter { shared, painter }
    }

    /// So many bytes more have passed.
    pub(super) fn add(&self, bytes: u64) {
        self.shared.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many bytes have passed altogether.
    pub(super) fn set(&self, bytes: u64) {
        self.shared.bytes.store(bytes, Ordering::Relaxed);
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        if let Some(painter) = self.painter.take() {
            painter.thread().unpark();
            let _ = painter.join();
        }
    }
}
