//! How much has passed, shown by a thread of its own: whoever moves the bytes only counts them.

use crate::copy_bar::{CopyBar, Shown};
use clap::ArgMatches;
use otto_core::fifo::{Control, SourceId};
use std::collections::HashMap;
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
    /// Asked for the bytes where a relay counts them.
    relay: Option<Control>,
}

impl Shared {
    fn bytes(&self) -> u64 {
        let Some(relay) = &self.relay else { return self.bytes.load(Ordering::Relaxed) };
        // Of one source to several sinks the slowest counts; several sources are one stream.
        let mut of_sources: HashMap<SourceId, u64> = HashMap::new();
        for edge in relay.edges() {
            let bytes = of_sources.entry(edge.source).or_insert(edge.bytes);
            *bytes = edge.bytes.min(*bytes);
        }
        of_sources.values().sum()
    }
}

impl Meter {
    /// `total` is what there will be, where that is known. Nothing is shown where one of the `ends`
    /// is a terminal, on which it would stand between the lines. Where a relay is given it counts.
    pub(super) fn start<'a>(
        arguments: &ArgMatches,
        label: &str,
        total: Option<u64>,
        ends: impl IntoIterator<Item = &'a OwnedFd>,
        relay: Option<Control>,
    ) -> Meter {
        let shared = Arc::new(Shared { relay, ..Shared::default() });
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
                    bar.tick(shared.bytes());
                    thread::park_timeout(FRAME);
                }
                bar.finish(shared.bytes());
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

    /// How many have passed.
    pub(super) fn bytes(&self) -> u64 {
        self.shared.bytes()
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
