//! Who holds which lock, and who waits for it, in the order they came. No I/O, no clock here.

use super::waits::ClientId;
use crate::json::push_string;
use crate::key::Pattern;
use crate::limits::{LOCKS_MAX, LOCKS_PER_CLIENT_MAX};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Write as _;
use std::time::Instant;

/// Who asks for a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Party {
    pub(super) client: ClientId,
    /// The process at the other end when it connected.
    pub(super) pid: Option<i32>,
    /// The task it belongs to, where that is known.
    pub(super) task: Option<Box<str>>,
}

/// What asking for a lock came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// Here it is, with this token.
    Granted(u64),
    /// Others hold it; who asked stands in its queue now, if it wanted to.
    Busy,
    /// It is asked for wrongly: the line that says how.
    Refused(String),
}

/// Somebody whose turn has come: the client and its token.
pub(super) type Grant = (ClientId, u64);

#[derive(Debug)]
struct Holder {
    party: Party,
    token: u64,
    since: Instant,
}

/// A lock that somebody holds; whoever waits does so because every slot is taken.
#[derive(Debug)]
struct Lock {
    slots: u32,
    holders: Vec<Holder>,
    queue: VecDeque<Party>,
}

impl Lock {
    fn has_room(&self) -> bool {
        self.holders.len() < self.slots as usize
    }
}

/// All locks that are held. A token is drawn for each grant; tokens only grow.
#[derive(Debug, Default)]
pub(super) struct Locks {
    by_name: BTreeMap<Box<str>, Lock>,
    held: HashMap<ClientId, Vec<Box<str>>>,
    waiting: HashMap<ClientId, Box<str>>,
}

impl Locks {
    /// How many clients wait for one.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// One of the `slots` of `name` for `party`, which waits for it where it has to and `may_wait`.
    pub(super) fn ask(
        &mut self,
        name: &str,
        slots: u32,
        party: Party,
        may_wait: bool,
        now: Instant,
        token: impl FnOnce() -> u64,
    ) -> Asked {
        let client = party.client;
        let own = self.held.get(&client).map_or(&[][..], Vec::as_slice);
        if own.iter().any(|held| **held == *name) {
            return Asked::Refused(format!("{name}: this connection holds the lock already"));
        }
        if own.len() >= LOCKS_PER_CLIENT_MAX {
            return Asked::Refused(format!("at most {LOCKS_PER_CLIENT_MAX} locks on a connection"));
        }
        if !self.by_name.contains_key(name) && self.by_name.len() >= LOCKS_MAX {
            return Asked::Refused(format!("at most {LOCKS_MAX} locks can be held at a time"));
        }
        let lock = self.by_name.entry(name.into()).or_insert_with(|| Lock {
            slots,
            holders: Vec::new(),
            queue: VecDeque::new(),
        });
        if lock.slots != slots {
            let has = lock.slots;
            return Asked::Refused(format!(
                "{name}: its holders have it with {has} slots, not {slots}"
            ));
        }
        if lock.has_room() {
            let token = token();
            lock.holders.push(Holder { party, token, since: now });
            self.held.entry(client).or_default().push(name.into());
            return Asked::Granted(token);
        }
        if may_wait {
            lock.queue.push_back(party);
            self.waiting.insert(client, name.into());
        }
        Asked::Busy
    }

    /// Takes `name` back from `client`, and says whose turn it is; `None` where it does not hold it.
    pub(super) fn release(
        &mut self,
        client: ClientId,
        name: &str,
        now: Instant,
        token: impl FnMut() -> u64,
    ) -> Option<Vec<Grant>> {
        let own = self.held.get_mut(&client)?;
        let at = own.iter().position(|held| **held == *name)?;
        own.swap_remove(at);
        if own.is_empty() {
            self.held.remove(&client);
        }
        Some(self.pass_on(client, name, now, token))
    }

    /// Whoever `client` waits for no longer need count with it; the lock it waited for.
    pub(super) fn give_up(&mut self, client: ClientId) -> Option<Box<str>> {
        let name = self.waiting.remove(&client)?;
        if let Some(lock) = self.by_name.get_mut(&name) {
            lock.queue.retain(|party| party.client != client);
        }
        Some(name)
    }

    /// Frees all that `client` holds or waits for: it has gone. Says whose turn it is.
    pub(super) fn forget(
        &mut self,
        client: ClientId,
        now: Instant,
        mut token: impl FnMut() -> u64,
    ) -> Vec<Grant> {
        self.give_up(client);
        let names = self.held.remove(&client).unwrap_or_default();
        names.iter().flat_map(|name| self.pass_on(client, name, now, &mut token)).collect()
    }

    /// Takes `client` off the holders of `name` and gives its slot to who has waited longest.
    fn pass_on(
        &mut self,
        client: ClientId,
        name: &str,
        now: Instant,
        mut token: impl FnMut() -> u64,
    ) -> Vec<Grant> {
        let Some(lock) = self.by_name.get_mut(name) else { return Vec::new() };
        lock.holders.retain(|holder| holder.party.client != client);
        let mut grants = Vec::new();
        while lock.has_room()
            && let Some(party) = lock.queue.pop_front()
        {
            let (next, token) = (party.client, token());
            lock.holders.push(Holder { party, token, since: now });
            self.waiting.remove(&next);
            self.held.entry(next).or_default().push(name.into());
            grants.push((next, token));
        }
        if lock.holders.is_empty() {
            self.by_name.remove(name);
        }
        grants
    }

    /// How many locks there are to look through.
    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    /// The locks that match, as a JSON array; `None` when that takes more than `bytes_max`.
    pub(super) fn describe(
        &self,
        pattern: &Pattern,
        now: Instant,
        bytes_max: usize,
    ) -> Option<String> {
        let mut out = String::from("[");
        for (name, lock) in self.by_name.iter().filter(|(name, _)| pattern.matches(name)) {
            out.push_str(if out.len() > 1 { ",{\"name\":" } else { "{\"name\":" });
            push_string(&mut out, name);
            // Writing to a String can't fail.
            let _ = write!(out, ",\"slots\":{},\"holders\":[", lock.slots);
            for (at, holder) in lock.holders.iter().enumerate() {
                out.push_str(if at > 0 { ",{\"token\":" } else { "{\"token\":" });
                let _ = write!(out, "{}", holder.token);
                if let Some(pid) = holder.party.pid {
                    let _ = write!(out, ",\"pid\":{pid}");
                }
                if let Some(task) = &holder.party.task {
                    out.push_str(",\"task\":");
                    push_string(&mut out, task);
                }
                let seconds = now.saturating_duration_since(holder.since).as_secs_f64();
                let _ = write!(out, ",\"seconds\":{seconds:.3}}}");
            }
            let _ = write!(out, "],\"waiting\":{}}}", lock.queue.len());
            if out.len() >= bytes_max {
                return None;
            }
        }
        out.push(']');
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    /// Locks, and tokens from one counter.
    struct Desk(Locks, u64, Instant);

    impl Desk {
        fn new() -> Desk {
            Desk(Locks::default(), 0, Instant::now())
        }

        fn ask(&mut self, client: ClientId, name: &str, slots: u32) -> Asked {
            let Desk(locks, last, now) = self;
            let party = Party { client, pid: Some(100), task: None };
            locks.ask(name, slots, party, true, *now, || {
                *last += 1;
                *last
            })
        }

        fn release(&mut self, client: ClientId, name: &str) -> Option<Vec<Grant>> {
            let Desk(locks, last, now) = self;
            locks.release(client, name, *now, || {
                *last += 1;
                *last
            })
        }

        fn forget(&mut self, client: ClientId) -> Vec<Grant> {
            let Desk(locks, last, now) = self;
            locks.forget(client, *now, || {
                *last += 1;
                *last
            })
        }
    }

    #[test]
    fn who_came_first_is_next() {
        let mut desk = Desk::new();
        assert_eq!(desk.ask(1, "db", 1), Asked::Granted(1));
        for client in 2..6 {
            assert_eq!(desk.ask(client, "db", 1), Asked::Busy);
        }
        assert_eq!(desk.release(2, "db"), None);
        assert_eq!(desk.release(1, "db"), Some(vec![(2, 2)]));
        // Who gives up or goes is passed over.
        assert_eq!(desk.0.give_up(3).as_deref(), Some("db"));
        assert_eq!(desk.forget(4), vec![]);
        assert_eq!(desk.forget(2), vec![(5, 3)]);
        assert_eq!(desk.0.waiting(), 0);
        assert_eq!(desk.release(5, "db"), Some(vec![]));
        assert_eq!((desk.0.len(), desk.0.held.len()), (0, 0));
    }

    #[test]
    fn slots_are_shared_and_agreed_on() {
        let mut desk = Desk::new();
        assert_eq!(desk.ask(1, "gpu", 2), Asked::Granted(1));
        assert_eq!(desk.ask(2, "gpu", 2), Asked::Granted(2));
        assert_eq!(desk.ask(3, "gpu", 2), Asked::Busy);
        for (client, slots, says) in [(1, 2, "holds the lock already"), (4, 3, "2 slots, not 3")] {
            let refused = desk.ask(client, "gpu", slots);
            assert!(matches!(&refused, Asked::Refused(what) if what.contains(says)), "{refused:?}");
        }
        assert_eq!(desk.release(2, "gpu"), Some(vec![(3, 3)]));
        assert_eq!((desk.forget(1), desk.forget(3)), (vec![], vec![]));
        // Once nobody has it, it is anybody's with any number.
        assert_eq!(desk.ask(4, "gpu", 3), Asked::Granted(4));
    }

    #[test]
    fn a_connection_has_so_many() {
        let mut desk = Desk::new();
        for n in 0..LOCKS_PER_CLIENT_MAX {
            assert!(matches!(desk.ask(1, &format!("l{n}"), 1), Asked::Granted(_)));
        }
        assert!(matches!(desk.ask(1, "more", 1), Asked::Refused(_)));
        assert!(matches!(desk.ask(2, "more", 1), Asked::Granted(_)));
        desk.forget(1);
        assert_eq!(desk.0.len(), 1);
    }

    #[test]
    fn holders_are_shown() {
        let mut desk = Desk::new();
        let party = Party { client: 1, pid: Some(42), task: Some("build".into()) };
        desk.0.ask("db", 1, party, true, desk.2, || 7);
        desk.ask(2, "db", 1);
        let later = desk.2 + Duration::from_millis(1250);
        let text = desk.0.describe(&Pattern::all(), later, 1000).unwrap();
        assert_eq!(
            text,
            r#"[{"name":"db","slots":1,"holders":[{"token":7,"pid":42,"task":"build","seconds":1.250}],"waiting":1}]"#
        );
        let none = Pattern::parse("x").unwrap();
        assert_eq!(desk.0.describe(&none, later, 1000).as_deref(), Some("[]"));
        assert_eq!(desk.0.describe(&Pattern::all(), later, 50), None);
    }

    proptest! {
        /// Whatever clients do: never more holders than slots, nobody waits while there is room,
        /// turns come in order, tokens only grow, and nothing is kept of who has gone.
        #[test]
        fn the_rules_hold(steps in prop::collection::vec((0..4u8, 0..6usize, 0..2usize), 0..200)) {
            let slots = [1, 3];
            let names = ["a", "b"];
            let mut desk = Desk::new();
            let mut holders: [Vec<ClientId>; 2] = Default::default();
            let mut queues: [VecDeque<ClientId>; 2] = Default::default();
            let mut last = 0;
            for (step, client, lock) in steps {
                let waits = queues.iter().any(|queue| queue.contains(&client));
                let mut grants = Vec::new();
                match step {
                    0 | 1 if !waits => match desk.ask(client, names[lock], slots[lock]) {
                        Asked::Granted(token) => {
                            prop_assert!(token > last && queues[lock].is_empty());
                            last = token;
                            holders[lock].push(client);
                        }
                        Asked::Busy => queues[lock].push_back(client),
                        Asked::Refused(_) => prop_assert!(holders[lock].contains(&client)),
                    },
                    2 if !waits => {
                        let held = holders[lock].contains(&client);
                        let released = desk.release(client, names[lock]);
                        prop_assert_eq!(released.is_some(), held);
                        holders[lock].retain(|holder| *holder != client);
                        grants = released.unwrap_or_default();
                    }
                    3 => {
                        grants = desk.forget(client);
                        holders.iter_mut().for_each(|held| held.retain(|holder| *holder != client));
                        queues.iter_mut().for_each(|queue| queue.retain(|other| *other != client));
                    }
                    _ => {}
                }
                for (client, token) in grants {
                    prop_assert!(token > last);
                    last = token;
                    let lock = queues.iter().position(|queue| queue.front() == Some(&client));
                    let lock = lock.expect("only who is first in a queue gets its turn");
                    queues[lock].pop_front();
                    holders[lock].push(client);
                }
                for lock in 0..2 {
                    prop_assert!(holders[lock].len() <= slots[lock] as usize);
                    prop_assert!(queues[lock].is_empty() || holders[lock].len() == slots[lock] as usize);
                }
                prop_assert_eq!(desk.0.waiting(), queues[0].len() + queues[1].len());
            }
            (0..6).for_each(|client| drop(desk.forget(client)));
            prop_assert_eq!((desk.0.len(), desk.0.held.len(), desk.0.waiting()), (0, 0, 0));
        }
    }
}
