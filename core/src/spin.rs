//! Looking a little longer before sleeping.
//!
//! Waking a core that sleeps costs about 50 us on a virtual machine, several times what a request
//! does. But looking helps only while the other side runs on another core: where both share one,
//! sleeping hands it over at once, and every look is time taken from the other. Which of the two
//! is the case nobody says, and it changes. So both ways are timed, the faster one is kept, and
//! the other is tried again now and then.

use crate::cores;
use std::time::{Duration, Instant};

/// How long to look: as long as the other side takes when it has to be woken first.
const TIME: Duration = Duration::from_micros(100);
/// How long to look where the other side may as well be about to take longer: a small part of what
/// sleeping costs.
const BRIEF_TIME: Duration = Duration::from_micros(2);
/// Waits in a row that are timed one way: the scheduler takes a few to settle.
const TRIAL: u32 = 16;
/// Trials that the faster way is kept before the other is tried again: doubled as long as that
/// stays the slower one.
const KEEP: u32 = 4;
const KEEP_MAX: u32 = 64;
/// A wait counts as no longer than this: beyond it the way of waiting makes no difference.
const COUNTED_MAX: Duration = Duration::from_micros(200);

/// Which way of waiting is the faster one here: looking, or sleeping at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spin {
    /// Looking has been faster; how long a trial of the faster way takes.
    looking_pays: bool,
    best: Duration,
    /// This trial is of the other way.
    probing: bool,
    /// Trials until the next of the other way, and how many there were the last time.
    left: u32,
    keep: u32,
    /// This trial: its waits, and how long they took.
    waits: u32,
    time: Duration,
    since: Option<Instant>,
}

impl Spin {
    pub(crate) fn new() -> Spin {
        Spin {
            // With one core looking keeps the very process from running that it waits for.
            looking_pays: cores::several(),
            best: Duration::MAX,
            probing: false,
            left: 1,
            keep: KEEP,
            waits: 0,
            time: Duration::ZERO,
            since: None,
        }
    }

    /// Begins a wait: looks with `attempt` until it brings something or it is time to sleep, which
    /// may be at once; then `None`. Once what was waited for is there, call [`Spin::found`].
    ///
    /// # Errors
    /// The first of `attempt`.
    pub(crate) fn look<T, E>(
        &mut self,
        attempt: impl FnMut() -> Result<Option<T>, E>,
    ) -> Result<Option<T>, E> {
        let begin = Instant::now();
        self.since = Some(begin);
        if self.looking_pays == self.probing {
            return Ok(None);
        }
        look_for(begin, TIME, attempt)
    }

    /// Ends the wait: what it was for is there.
    pub(crate) fn found(&mut self) {
        if let Some(since) = self.since.take() {
            self.count(since.elapsed());
        }
    }

    fn count(&mut self, wait: Duration) {
        self.waits += 1;
        self.time += wait.min(COUNTED_MAX);
        if self.waits == TRIAL {
            let time = std::mem::take(&mut self.time);
            self.waits = 0;
            self.judge(time);
        }
    }

    /// A trial took `time`: which way to go on.
    fn judge(&mut self, time: Duration) {
        if !self.probing {
            self.best = time;
            self.left -= 1;
            self.probing = self.left == 0;
            return;
        }
        // Looking takes the core from others: without a clear gain it is not worth it.
        let better = match self.looking_pays {
            false => time * 10 < self.best * 9,
            true => time * 9 < self.best * 10,
        };
        if better {
            self.looking_pays = !self.looking_pays;
            self.best = time;
            self.keep = KEEP;
        } else {
            self.keep = (self.keep * 2).min(KEEP_MAX);
        }
        self.probing = false;
        self.left = self.keep;
    }
}

/// Looks with `attempt` for a moment, however long the waits have been.
///
/// # Errors
/// The first of `attempt`.
pub(crate) fn look_briefly<T, E>(
    attempt: impl FnMut() -> Result<Option<T>, E>,
) -> Result<Option<T>, E> {
    look_for(Instant::now(), BRIEF_TIME, attempt)
}

fn look_for<T, E>(
    begin: Instant,
    time: Duration,
    mut attempt: impl FnMut() -> Result<Option<T>, E>,
) -> Result<Option<T>, E> {
    loop {
        std::hint::spin_loop();
        let found = attempt()?;
        if found.is_some() || begin.elapsed() >= time {
            return Ok(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The share of waits that look, in percent, where a wait takes this long either way.
    fn share_of_looks(looking: Duration, sleeping: Duration) -> u32 {
        let mut spin = Spin { looking_pays: true, ..Spin::new() };
        let mut looks = 0;
        for _ in 0..10_000 {
            let looked = spin.looking_pays != spin.probing;
            looks += u32::from(looked);
            spin.count(if looked { looking } else { sleeping });
        }
        looks / 100
    }

    #[test]
    fn the_faster_way_is_kept() {
        let (fast, slow) = (Duration::from_micros(10), Duration::from_micros(60));
        assert!(share_of_looks(fast, slow) > 90);
        assert!(share_of_looks(slow, fast) < 10);
    }

    #[test]
    fn without_a_gain_it_sleeps() {
        let alike = Duration::from_micros(30);
        assert!(share_of_looks(alike, alike) < 10);
        assert!(share_of_looks(Duration::from_secs(1), Duration::from_secs(2)) < 10);
    }

    #[test]
    fn looks_until_there_is_something_or_it_is_time_to_sleep() {
        let mut spin = Spin { looking_pays: true, ..Spin::new() };
        let mut looks = 0;
        let found = spin.look(|| {
            looks += 1;
            Ok::<_, ()>((looks == 3).then_some(7))
        });
        assert_eq!(found, Ok(Some(7)));
        assert_eq!(spin.look(|| Ok::<_, ()>(None::<()>)), Ok(None));
        assert_eq!(spin.look(|| Err::<Option<()>, _>("gone")), Err("gone"));
    }
}
