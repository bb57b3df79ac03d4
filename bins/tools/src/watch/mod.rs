//! `otto-progress --watch`: how far the tasks of a run are, from wherever one looks.

mod bars;
mod screen;

pub(crate) use bars::shape;
pub(crate) use screen::room;

use crate::{Done, is_unread, print};
use bars::Bars;
use otto_core::progress::Record;
use otto_core::socket::Client;
use otto_core::{Error, ErrorKind, Json};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::isatty;
use screen::Screen;
use std::io;
use std::path::Path;
use std::time::Instant;

/// Between two looks.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// Shows the progress of the run whose server is at `socket` until that run ends: bars on a
/// terminal, lines elsewhere.
///
/// # Errors
/// When no server answers there at all, or nothing can be shown.
pub fn watch(socket: &Path) -> Done {
    let mut client = Client::connect(socket)?;
    // What is reported between the last look and the end comes with its reply.
    let mut last = match Client::connect(socket).and_then(Client::begin_last_stats) {
        // It has ended meanwhile.
        Err(error) if error.kind() == ErrorKind::Unreachable => return Ok(0),
        last => last?,
    };
    let mut bars = Bars::default();
    let mut screen = isatty(io::stdout()).then(Screen::default);
    let mut over = false;
    while !over {
        let looked = client.stats();
        // Asked after that: with the server gone, its last word is here.
        let stats = match last.reply().unwrap_or_default() {
            Some(stats) => {
                over = true;
                stats
            }
            None => match looked {
                Ok(stats) => stats,
                Err(error) if error.kind() == ErrorKind::Unreachable => break,
                Err(error) => return Err(error.into()),
            },
        };
        let now = Instant::now();
        bars.observe(records(&stats)?, now);
        match &mut screen {
            Some(screen) => screen.paint(&bars.painted(room(io::stdout()).1))?,
            None => print(bars.lines(false, now).as_bytes())?,
        }
        // The end of the run is the end of the connection, and known at once.
        if !over {
            let _ = poll(&mut [PollFd::new(&client, PollFlags::RDHUP)], Some(&PAUSE));
        }
        if is_unread() {
            return Ok(0);
        }
    }
    if screen.is_none() {
        print(bars.lines(true, Instant::now()).as_bytes())?;
    }
    Ok(0)
}

/// The bars the server knows.
fn records(stats: &Json) -> otto_core::Result<Vec<Record>> {
    let broken = |_| Error::new(ErrorKind::Protocol, "the server's figures are no JSON object");
    let stats: serde_json::Value = serde_json::from_str(stats.as_str()).map_err(broken)?;
    let bars = stats["progress"].as_array();
    bars.into_iter().flatten().map(|bar| Record::parse(&bar.to_string())).collect()
}
