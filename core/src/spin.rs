//! Looking a little longer before sleeping.
//!
//! Waking a core that sleeps costs about 50 us on a virtual machine, several times what a request
//! does. But looking helps only while the other side runs on another core meanwhile: where it
//! waits for this very core, every look is time taken from it. So it is learnt from how the last
//! looks ended, and hardly tried where it has not paid.

use crate::cores;
use std::time::{Duration, Instant};

/// How long to look: as long as the other side takes when it has to be woken first.
const TIME: Duration = Duration::from_micros(100);
/// Away for longer between two looks, this core was given to somebody else.
const AWAY: Duration = Duration::from_micros(5);
/// Sleeps without a look before it is tried again, at most.
const SKIP_MAX: u32 = 63;

/// Whether looking pays.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spin {
    /// Sleeps to come without a look.
    skip: u32,
    /// As many more after the next look in vain.
    backoff: u32,
}

impl Spin {
    pub(crate) fn new() -> Spin {
        // With one core looking keeps the very process from running that it waits for.
        let backoff = if cores::several() { 0 } else { SKIP_MAX };
        Spin { skip: backoff, backoff }
    }

    /// Looks with `attempt` until it brings something, or until it is time to sleep: `None`.
    ///
    /// # Errors
    /// The first of `attempt`.
    pub(crate) fn look<T, E>(
        &mut self,
        mut attempt: impl FnMut() -> Result<Option<T>, E>,
    ) -> Result<Option<T>, E> {
        if self.skip > 0 {
            self.skip -= 1;
            return Ok(None);
        }
        let begin = Instant::now();
        let (mut last, mut away) = (begin, false);
        while last - begin < TIME {
            std::hint::spin_loop();
            let found = attempt()?;
            let now = Instant::now();
            away |= now - last > AWAY;
            if found.is_some() {
                self.learn(!away);
                return Ok(found);
            }
            last = now;
        }
        self.learn(false);
        Ok(None)
    }

    fn learn(&mut self, paid: bool) {
        self.backoff = if paid { 0 } else { (self.backoff * 2 + 1).min(SKIP_MAX) };
        self.skip = self.backoff;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learner() -> Spin {
        Spin { skip: 0, backoff: 0 }
    }

    fn nothing() -> Result<Option<()>, ()> {
        Ok(None)
    }

    #[test]
    fn looks_in_vain_become_rare() {
        let mut spin = learner();
        let mut looks = 0;
        for _ in 0..1000 {
            let mut looked = false;
            let found = spin.look(|| {
                looked = true;
                nothing()
            });
            assert_eq!(found, Ok(None));
            looks += u32::from(looked);
        }
        assert!((10..=30).contains(&looks), "{looks} looks");
    }

    #[test]
    fn what_is_found_only_after_the_core_was_given_away_does_not_count() {
        let mut spin = learner();
        let found = spin.look(|| {
            let end = Instant::now() + AWAY * 4;
            while Instant::now() < end {}
            Ok::<_, ()>(Some(7))
        });
        assert_eq!(found, Ok(Some(7)));
        assert_eq!(spin.look(|| Ok::<_, ()>(Some(7))), Ok(None));
    }

    #[test]
    fn an_error_is_passed_on() {
        assert_eq!(learner().look(|| Err::<Option<()>, _>("gone")), Err("gone"));
    }
}
