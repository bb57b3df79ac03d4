//! Lines on a terminal that are painted again and again in one place.

use crate::print;
use rustix::termios::tcgetwinsize;
use std::io;
use std::os::fd::AsFd;

/// The lines that stand there now.
#[derive(Debug, Default)]
pub(super) struct Screen {
    shown: usize,
}

impl Screen {
    /// Paints `lines` over those shown before.
    pub(super) fn paint(&mut self, lines: &[String]) -> anyhow::Result<()> {
        let (columns, _) = room(io::stdout());
        let mut out = String::new();
        if self.shown > 0 {
            out += &format!("\x1b[{}A", self.shown);
        }
        for line in lines {
            out.extend(line.chars().take(columns));
            out += "\x1b[K\n";
        }
        // Below may still stand what was shown when there was more.
        out += "\x1b[J";
        self.shown = lines.len();
        print(out.as_bytes())
    }
}

/// Columns and rows that can be painted on a terminal without anything moving away.
pub(crate) fn room(terminal: impl AsFd) -> (usize, usize) {
    let size = tcgetwinsize(terminal).map_or((0, 0), |size| (size.ws_col, size.ws_row));
    // A full last column would wrap; a terminal of no size tells none.
    let fitting = |told: u16, usual: usize| match usize::from(told) {
        0 => usual - 1,
        told => told.saturating_sub(1),
    };
    (fitting(size.0, 80), fitting(size.1, 24))
}
