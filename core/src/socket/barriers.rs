//! Who has come to which barrier. No I/O, no clock here.

use super::waits::ClientId;
use std::collections::HashMap;

/// What coming to a barrier came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Arrived {
    /// Others are still to come.
    Waits,
    /// All are here: those who have waited, in the order they came.
    Complete(Vec<ClientId>),
    /// It is asked for wrongly: the line that says how.
    Refused(String),
}

#[derive(Debug)]
struct Barrier {
    count: u32,
    /// Who waits, in the order they came.
    parties: Vec<ClientId>,
}

/// All barriers at which somebody waits.
#[derive(Debug, Default)]
pub(super) struct Barriers {
    by_name: HashMap<Box<str>, Barrier>,
    waiting: HashMap<ClientId, Box<str>>,
}

impl Barriers {
    /// How many clients wait at one.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// `client` comes to `name`, and stays there only where it has to and `may_wait`.
    pub(super) fn arrive(
        &mut self,
        client: ClientId,
        name: &str,
        count: u32,
        may_wait: bool,
    ) -> Arrived {
        let here = match self.by_name.get(name) {
            Some(barrier) if barrier.count != count => {
                let wanted = barrier.count;
                return Arrived::Refused(format!(
                    "{name}: those who wait there are to be {wanted}, not {count}"
                ));
            }
            Some(barrier) => barrier.parties.len(),
            None => 0,
        };
        if here + 1 >= count as usize {
            let parties = self.by_name.remove(name).map_or_else(Vec::new, |all| all.parties);
            parties.iter().for_each(|party| drop(self.waiting.remove(party)));
            return Arrived::Complete(parties);
        }
        if may_wait {
            let empty = || Barrier { count, parties: Vec::new() };
            self.by_name.entry(name.into()).or_insert_with(empty).parties.push(client);
            self.waiting.insert(client, name.into());
        }
        Arrived::Waits
    }

    /// `client` is not counted any more; the barrier it waited at.
    pub(super) fn give_up(&mut self, client: ClientId) -> Option<Box<str>> {
        let name = self.waiting.remove(&client)?;
        if let Some(barrier) = self.by_name.get_mut(&name) {
            barrier.parties.retain(|party| *party != client);
            if barrier.parties.is_empty() {
                self.by_name.remove(&name);
            }
        }
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn all_go_once_the_last_is_here() {
        let mut barriers = Barriers::default();
        for round in 0..2 {
            assert_eq!(barriers.arrive(7, "b", 3, true), Arrived::Waits, "{round}");
            assert_eq!(barriers.arrive(5, "b", 3, true), Arrived::Waits);
            assert_eq!(barriers.waiting(), 2);
            assert_eq!(barriers.arrive(6, "b", 3, true), Arrived::Complete(vec![7, 5]));
            assert_eq!((barriers.waiting(), barriers.by_name.len()), (0, 0));
        }
        assert_eq!(barriers.arrive(1, "alone", 1, false), Arrived::Complete(vec![]));
    }

    #[test]
    fn who_goes_is_not_counted() {
        let mut barriers = Barriers::default();
        barriers.arrive(1, "b", 2, true);
        assert_eq!(barriers.give_up(1).as_deref(), Some("b"));
        assert_eq!(barriers.give_up(1), None);
        assert_eq!(barriers.arrive(2, "b", 2, false), Arrived::Waits);
        assert_eq!(barriers.waiting(), 0);
        assert_eq!(barriers.arrive(3, "b", 2, true), Arrived::Waits);
        assert_eq!(barriers.arrive(4, "b", 2, true), Arrived::Complete(vec![3]));
    }

    #[test]
    fn the_count_is_agreed_on() {
        let mut barriers = Barriers::default();
        barriers.arrive(1, "b", 2, true);
        let refused = barriers.arrive(2, "b", 3, true);
        assert!(matches!(&refused, Arrived::Refused(what) if what.contains("2, not 3")));
        barriers.give_up(1);
        assert_eq!(barriers.arrive(2, "b", 3, true), Arrived::Waits);
    }

    proptest! {
        /// A round has exactly as many as were asked for, and nobody who has left.
        #[test]
        fn rounds_are_whole(steps in prop::collection::vec((any::<bool>(), 0..8usize), 0..200)) {
            let mut barriers = Barriers::default();
            let mut here: Vec<ClientId> = Vec::new();
            for (comes, client) in steps {
                if comes && !here.contains(&client) {
                    match barriers.arrive(client, "b", 4, true) {
                        Arrived::Waits => here.push(client),
                        Arrived::Complete(parties) => {
                            prop_assert_eq!(&parties, &here);
                            prop_assert_eq!(parties.len(), 3);
                            here.clear();
                        }
                        Arrived::Refused(what) => prop_assert!(false, "{}", what),
                    }
                } else if !comes {
                    prop_assert_eq!(barriers.give_up(client).is_some(), here.contains(&client));
                    here.retain(|party| *party != client);
                }
                prop_assert_eq!(barriers.waiting(), here.len());
                prop_assert_eq!(barriers.by_name.is_empty(), here.is_empty());
            }
        }
    }
}
