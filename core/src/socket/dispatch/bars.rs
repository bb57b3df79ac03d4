//! The progress bars that STATS shows: each one's newest record.

use crate::progress::Record;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Most bars remembered.
const BARS_MAX: usize = 10_000;

/// Task and bar, which are how they are sorted.
type Name = Rc<(String, String)>;

/// The newest records. Beyond [`BARS_MAX`] the one that is over and was reported longest ago is
/// forgotten, or if none is over, any: nobody says when a bar without a total is.
#[derive(Default)]
pub(super) struct Bars {
    records: BTreeMap<Name, (Record, u64)>,
    /// By the time of their report, which is a number.
    complete: BTreeMap<u64, Name>,
    others: BTreeMap<u64, Name>,
    reports: u64,
}

impl Bars {
    pub(super) fn insert(&mut self, record: Record) {
        self.reports += 1;
        let name = Rc::new((record.task.clone(), record.id.clone()));
        let order = if record.is_complete() { &mut self.complete } else { &mut self.others };
        order.insert(self.reports, Rc::clone(&name));
        match self.records.insert(name, (record, self.reports)) {
            Some((_, before)) => {
                self.complete.remove(&before);
                self.others.remove(&before);
            }
            None if self.records.len() > BARS_MAX => self.forget_oldest(),
            None => {}
        }
    }

    fn forget_oldest(&mut self) {
        // The newest one is spared, also where it alone is over.
        let newest = self.reports;
        let oldest = self.complete.first_entry().filter(|entry| *entry.key() < newest);
        let oldest = oldest.or_else(|| self.others.first_entry());
        if let Some(oldest) = oldest {
            self.records.remove(&oldest.remove());
        }
    }

    /// A JSON list.
    pub(super) fn to_json(&self) -> String {
        let bars: Vec<String> = self.records.values().map(|(record, _)| record.to_json()).collect();
        format!("[{}]", bars.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(bars: &mut Bars, id: usize, current: f64) {
        let record = Record { id: id.to_string(), current, total: Some(2.0), ..Record::default() };
        bars.insert(record);
    }

    fn is_there(bars: &Bars, id: usize) -> bool {
        bars.records.contains_key(&(String::new(), id.to_string()))
    }

    #[test]
    fn beyond_the_limit_the_oldest_that_is_over_makes_room() {
        let mut bars = Bars::default();
        for id in 0..BARS_MAX {
            report(&mut bars, id, 1.0);
        }
        report(&mut bars, 7, 2.0);
        report(&mut bars, 5, 2.0);
        report(&mut bars, 7, 2.0);
        report(&mut bars, 0, 1.5);
        // Known ones need no room.
        assert!((0..BARS_MAX).all(|id| is_there(&bars, id)));
        for (new, forgotten) in [(BARS_MAX, 5), (BARS_MAX + 1, 7), (BARS_MAX + 2, 1)] {
            report(&mut bars, new, 2.0 - (new % 2) as f64);
            assert!(is_there(&bars, new) && !is_there(&bars, forgotten), "{new}");
            report(&mut bars, new, 1.0);
        }
        assert!(is_there(&bars, 0));
        assert_eq!(bars.records.len(), BARS_MAX);
        assert_eq!(bars.complete.len() + bars.others.len(), BARS_MAX);
    }
}
