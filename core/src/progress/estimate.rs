//! Rate and time left, from the reports themselves.

use super::Record;
use std::time::Instant;

/// How much an older rate counts after one second of newer ones.
const MEMORY_PER_SECOND: f64 = 0.8;

/// Watches the records of one bar.
///
/// ```
/// use otto_core::progress::{Estimate, Record};
/// use std::time::{Duration, Instant};
/// let start = Instant::now();
/// let mut estimate = Estimate::new();
/// let at = |current| Record { current, total: Some(100.0), ..Record::default() };
/// estimate.observe(&at(0.0), start);
/// estimate.observe(&at(10.0), start + Duration::from_secs(1));
/// assert_eq!(estimate.rate(), Some(10.0));
/// assert_eq!(estimate.left(&at(10.0)), Some(9.0));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Estimate {
    last: Option<(Instant, f64)>,
    rate: Option<f64>,
}

impl Estimate {
    /// Knows nothing yet.
    #[must_use]
    pub fn new() -> Estimate {
        Estimate::default()
    }

    /// Takes note of a record that arrived at `now`. A count that goes back starts over.
    pub fn observe(&mut self, record: &Record, now: Instant) {
        let Some((then, count)) = self.last else {
            self.last = Some((now, record.current));
            return;
        };
        if record.current < count {
            *self = Estimate { last: Some((now, record.current)), rate: None };
            return;
        }
        let seconds = now.saturating_duration_since(then).as_secs_f64();
        // Shorter spans say more about the scheduler than about the task.
        if seconds < 0.02 {
            return;
        }
        let newest = (record.current - count) / seconds;
        let weight = MEMORY_PER_SECOND.powf(seconds);
        self.rate = Some(self.rate.map_or(newest, |old| old * weight + newest * (1.0 - weight)));
        self.last = Some((now, record.current));
    }

    /// Counts a second; `None` until two records have come.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        self.rate
    }

    /// Seconds until the total is reached; `None` where that can't be told.
    #[must_use]
    pub fn left(&self, record: &Record) -> Option<f64> {
        let rate = self.rate.filter(|rate| *rate > 0.0)?;
        Some((record.total? - record.current).max(0.0) / rate)
    }
}
