//! Moving a stream as pages: they pass from pipe to pipe without being copied or looked at.

use super::sink::Sink;
use super::source::Source;
use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, splice, tee};
use std::os::fd::{AsFd, OwnedFd};

/// Asked of the kernel at a time: what a large pipe holds.
const CHUNK_BYTES: usize = 1 << 20;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paged {
    Moved,
    /// Nothing to move, or no room for it.
    Still,
    /// One of the sinks, as it turned out, takes no pages.
    Unable,
}

/// Moves what is there from `source` to those of `sinks` that `route` names, all of which take
/// pages and nothing from elsewhere. Several get the same pages, in lock-step: one that has taken
/// what the pipe holds waits until all have.
pub(super) fn pass(
    source: &mut Source,
    sinks: &mut [Sink],
    route: &[usize],
    nowhere: &OwnedFd,
) -> Paged {
    let mut paged = Paged::Still;
    let open: Vec<usize> = route.iter().copied().filter(|sink| sinks[*sink].is_open()).collect();
    let lead =
        |sinks: &[Sink], source: &Source, sink: usize| sinks[sink].edges[0].position - source.end();
    // As much as the pipe holds at once, and what comes meanwhile a few times more.
    for _ in 0..4 {
        let Some(from) = source.fd() else { break };
        let lowest = open.iter().map(|sink| lead(sinks, source, *sink)).min().unwrap_or(0);
        if lowest > 0 {
            match splice(from, None, nowhere, None, lowest as usize, SpliceFlags::NONBLOCK) {
                Ok(count) if count > 0 => source.window.pass_over(count as u64),
                Err(Errno::INTR) => {}
                // Nobody else reads that pipe: what was duplicated is there.
                _ => return Paged::Unable,
            }
            continue;
        }
        let mut moved = false;
        for &place in &open {
            let Some(from) = source.fd() else { break };
            let sink = &sinks[place];
            let Some(to) = sink.fd() else { continue };
            if sink.is_full || lead(sinks, source, place) > 0 {
                continue;
            }
            let count = if open.len() == 1 {
                splice(from, None, to, None, CHUNK_BYTES, SpliceFlags::NONBLOCK)
            } else {
                tee(from.as_fd(), to.as_fd(), CHUNK_BYTES, SpliceFlags::NONBLOCK)
            };
            match count {
                // No bytes and no writer.
                Ok(0) => {
                    source.stop();
                    moved = true;
                }
                Ok(count) => {
                    sinks[place].edges[0].took_pages(count as u64);
                    moved = true;
                }
                Err(Errno::INTR) => moved = true,
                Err(Errno::AGAIN) if source.waiting() == 0 => source.ran_dry(),
                Err(Errno::AGAIN) => sinks[place].is_full = true,
                // Nothing that goes as pages has to be given back.
                Err(Errno::PIPE) => {
                    sinks[place].leave(Ok(()), &mut []);
                    moved = true;
                }
                Err(_) => {
                    sinks[place].takes_pages = false;
                    return Paged::Unable;
                }
            }
        }
        if open.len() == 1 && moved {
            let position = sinks[open[0]].edges[0].position;
            source.window.pass_over(position - source.end());
        }
        if !moved {
            break;
        }
        paged = Paged::Moved;
    }
    paged
}
