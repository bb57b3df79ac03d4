//! One line about a long copy, on a terminal.

use crate::watch::shape;
use otto_core::progress::{Estimate, Record};
use rustix::termios::isatty;
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// What takes less is not worth a line.
const PATIENCE: Duration = Duration::from_millis(500);
const FRAME: Duration = Duration::from_millis(100);
/// Between lines where standard error is no terminal.
const LINE: Duration = Duration::from_secs(1);

/// A bar on standard error where that is a terminal, from half a second on; cleared when dropped.
///
/// ```
/// let mut bar = otto_tools::CopyBar::new("features", Some(1000));
/// bar.tick(500);
/// ```
#[derive(Debug)]
pub struct CopyBar {
    name: String,
    total: Option<u64>,
    estimate: Estimate,
    /// `None` where nothing is ever shown.
    next_frame: Option<Instant>,
    shown: bool,
    /// On a terminal one line is painted again and again; elsewhere each is a line.
    terminal: bool,
    /// For a stream, whose end nobody knows: how long it has been going on is shown.
    began: Option<Instant>,
}

/// Where a bar is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    OnTerminal,
    Always,
    Never,
}

impl CopyBar {
    /// A bar for a copy of `total` bytes, if that is known.
    #[must_use]
    pub fn new(name: &str, total: Option<u64>) -> CopyBar {
        let terminal = isatty(io::stderr());
        let next_frame = terminal.then(|| Instant::now() + PATIENCE);
        let total = total.filter(|total| *total > 0);
        CopyBar {
            name: name.to_owned(),
            total,
            estimate: Estimate::new(),
            next_frame,
            shown: false,
            terminal,
            began: None,
        }
    }

    /// A bar for a stream; `None` where it is never shown.
    pub(crate) fn shown(name: &str, total: Option<u64>, shown: Shown) -> Option<CopyBar> {
        let mut bar = CopyBar::new(name, total);
        let now = Instant::now();
        bar.began = Some(now);
        bar.next_frame = match shown {
            Shown::Never => None,
            Shown::Always => Some(now + if bar.terminal { FRAME } else { LINE }),
            Shown::OnTerminal => bar.next_frame,
        };
        bar.next_frame.is_some().then_some(bar)
    }

    /// The end: what was asked for also where there is no terminal tells the sum.
    pub(crate) fn finish(mut self, done: u64) {
        if !self.terminal {
            self.next_frame = Some(Instant::now());
            self.tick(done);
        }
    }

    /// `done` bytes have been copied by now.
    pub fn tick(&mut self, done: u64) {
        let Some(next_frame) = self.next_frame else { return };
        let now = Instant::now();
        let total = self.total.map(|total| total as f64);
        let record = Record { current: done as f64, total, ..Record::default() };
        self.estimate.observe(&record, now);
        if now < next_frame {
            return;
        }
        self.next_frame = Some(now + if self.terminal { FRAME } else { LINE });
        let mut line = line(&self.name, &record, &self.estimate);
        if let Some(began) = self.began {
            line += &format!(", {}", clock(now.duration_since(began).as_secs()));
        }
        if !self.terminal {
            return crate::say(&line);
        }
        self.shown = true;
        let (columns, _) = crate::watch::room(io::stderr());
        let line: String = line.chars().take(columns).collect();
        let _ = io::stderr().write_all(format!("\r{line}\x1b[K").as_bytes());
    }
}

impl Drop for CopyBar {
    fn drop(&mut self) {
        if self.shown {
            let _ = io::stderr().write_all(b"\r\x1b[K");
        }
    }
}

fn line(name: &str, record: &Record, estimate: &Estimate) -> String {
    let mut line = format!("{name} ");
    if let Some(fraction) = record.fraction() {
        line += &format!("{} {:.0}% ", shape(fraction), fraction * 100.0);
    }
    line += &amount(record.current);
    if let Some(total) = record.total {
        line += &format!(" of {}", amount(total));
    }
    if let Some(rate) = estimate.rate() {
        line += &format!(", {}/s", amount(rate));
    }
    if let Some(left) = estimate.left(record) {
        line += &format!(", {} left", clock(left.min(359_999.0) as u64));
    }
    line
}

fn clock(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, minutes, seconds) => format!("{minutes}:{seconds:02}"),
        (hours, minutes, seconds) => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// Bytes in a unit that suits them.
pub(crate) fn amount(bytes: f64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let (mut scaled, mut unit) = (bytes, "B");
    for larger in units {
        if scaled < 1024.0 {
            break;
        }
        (scaled, unit) = (scaled / 1024.0, larger);
    }
    if unit == "B" { format!("{scaled:.0} B") } else { format!("{scaled:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_much_how_fast_and_how_long() {
        let start = Instant::now();
        let mut estimate = Estimate::new();
        let at = |current, total| Record { current, total, ..Record::default() };
        let total = Some(4.0 * 1024.0 * 1024.0 * 1024.0);
        estimate.observe(&at(0.0, total), start);
        assert_eq!(line("d", &at(0.0, None), &estimate), "d 0 B");
        let half = 2.0 * 1024.0 * 1024.0 * 1024.0;
        estimate.observe(&at(half, total), start + Duration::from_secs(2));
        assert_eq!(
            line("d", &at(half, total), &estimate),
            "d [############------------] 50% 2.0 GiB of 4.0 GiB, 1.0 GiB/s, 0:02 left"
        );
        assert_eq!(line("d", &at(half, None), &estimate), "d 2.0 GiB, 1.0 GiB/s");
    }

    #[test]
    fn amounts_have_units() {
        for (bytes, text) in
            [(0.0, "0 B"), (1023.0, "1023 B"), (1536.0, "1.5 KiB"), (5e15, "4547.5 TiB")]
        {
            assert_eq!(amount(bytes), text);
        }
    }
}
