//! Looks for an order of all calls that explains every answer (Wing and Gong 1993, with the memory
//! of what was tried that Lowe added in 2017).
//!
//! An order explains a history when a server that did one call after the other in it would have
//! given the same answers, and no call comes before one that had been answered before it was asked.
//! stateright's tester was looked at and left: 46 packages, and without that memory its search takes
//! exponential time in histories of this length (it also copies the history in every step).

use super::history::Call;
use super::model::{Change, Fact, Op, State};
use std::collections::{HashMap, HashSet};

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// These calls, in this order; unanswered ones that are missing were not carried out.
    Order(Vec<usize>),
    /// There is none. The longest order of calls that could be explained, for the search of the cause.
    None(Vec<usize>),
    /// Not found within the given number of steps.
    Undecided,
}

/// Which calls have been given their place.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Placed(Box<[u64]>);

impl Placed {
    fn has(&self, call: usize) -> bool {
        self.0[call / 64] & (1 << (call % 64)) != 0
    }

    fn with(&self, call: usize) -> Placed {
        let mut placed = self.clone();
        placed.0[call / 64] |= 1 << (call % 64);
        placed
    }
}

/// A place in the order, and what has not been tried for it.
struct Step {
    placed: Placed,
    /// So many of those that were answered, in the order they were asked in.
    from: usize,
    state: State,
    untried: Vec<usize>,
}

/// Searches through `calls` in at most `steps_max` steps.
#[must_use]
pub fn check(calls: &[Call], steps_max: usize) -> Verdict {
    let lines = Lines::new(calls);
    let needed = needed(calls);
    let nothing = Placed(vec![0; calls.len().div_ceil(64)].into());
    let mut order: Vec<usize> = Vec::new();
    let mut longest = Vec::new();
    let untried = lines.candidates(&nothing, &mut 0);
    let mut steps = vec![Step { placed: nothing, from: 0, state: State::default(), untried }];
    let mut seen = HashSet::new();
    let mut taken = 0;
    while let Some(step) = steps.last_mut() {
        if step.from == lines.answered.len() {
            return Verdict::Order(order);
        }
        let Some(call) = step.untried.pop() else {
            steps.pop();
            order.pop();
            continue;
        };
        taken += 1;
        if taken > steps_max {
            return Verdict::Undecided;
        }
        let answer = calls[call].answered.as_ref().map(|(_, answer)| answer);
        let Some(state) = step.state.after(&calls[call].op, answer) else { continue };
        if state == step.state {
            // Whoever got no answer and changed nothing need not have been there.
            if answer.is_none() {
                continue;
            }
            // Who is told what holds and changes nothing can go first, in every order.
            step.untried.clear();
        }
        let placed = step.placed.with(call);
        // What an answer still without a place tells of must not have passed: it does not come back.
        let passed = step.state.lost(&state).iter().any(|fact| {
            needed.get(fact).is_some_and(|calls| calls.iter().any(|call| !placed.has(*call)))
        });
        if passed || !seen.insert((placed.clone(), state.clone())) {
            continue;
        }
        let mut from = step.from;
        let untried = lines.candidates(&placed, &mut from);
        order.push(call);
        if order.len() > longest.len() {
            longest.clone_from(&order);
        }
        steps.push(Step { placed, from, state, untried });
    }
    Verdict::None(longest)
}

/// The calls in the order they were asked in.
struct Lines<'a> {
    calls: &'a [Call],
    answered: Vec<usize>,
    unanswered: Vec<usize>,
}

impl Lines<'_> {
    fn new(calls: &[Call]) -> Lines<'_> {
        let mut all: Vec<usize> = (0..calls.len()).collect();
        all.sort_by_key(|at| calls[*at].asked);
        let (answered, unanswered) = all.into_iter().partition(|at| calls[*at].answered.is_some());
        Lines { calls, answered, unanswered }
    }

    /// The calls that may be next, the likeliest last: none that was asked after the answer to another
    /// one without a place. What was answered first was mostly done first; what never was, last.
    /// `from` of the answered ones are known to have their place, and kept up to date.
    fn candidates(&self, placed: &Placed, from: &mut usize) -> Vec<usize> {
        while self.answered.get(*from).is_some_and(|at| placed.has(*at)) {
            *from += 1;
        }
        let (mut may, mut end) = (Vec::new(), u64::MAX);
        for at in &self.answered[*from..] {
            let call = &self.calls[*at];
            if call.asked > end {
                break;
            }
            if placed.has(*at) {
                continue;
            }
            let returned = call.answered.as_ref().map_or(u64::MAX, |(at, _)| *at);
            end = end.min(returned);
            may.push((returned, *at));
        }
        may.retain(|(_, at)| self.calls[*at].asked <= end);
        may.sort_unstable_by(|a, b| b.cmp(a));
        let unanswered = self.unanswered.iter().copied();
        let unanswered = unanswered.filter(|at| !placed.has(*at) && self.calls[*at].asked <= end);
        unanswered.chain(may.into_iter().map(|(_, at)| at)).collect()
    }
}

/// The calls that need each fact. Without this the search finds out too late: after a wrong choice
/// it tries everything that does not depend on it before it comes back.
fn needed(calls: &[Call]) -> HashMap<Fact, Vec<usize>> {
    let changes = calls.iter().flat_map(|call| match &call.op {
        Op::Do(change) => std::slice::from_ref(change),
        Op::Batch(changes) => changes,
        _ => &[],
    });
    let sums = changes.filter_map(|change| match change {
        Change::Increment(by) => Some(by),
        _ => None,
    });
    // Sums come back where the same is added twice, or little.
    let mut added = HashSet::new();
    let repeat = sums.into_iter().any(|by| by.unsigned_abs() < 1 << 32 || !added.insert(by));
    let mut needed: HashMap<Fact, Vec<usize>> = HashMap::new();
    for (at, call) in calls.iter().enumerate() {
        let Some((_, answer)) = &call.answered else { continue };
        for fact in call.op.needs(answer) {
            if !(repeat && matches!(fact, Fact::Number(_))) {
                needed.entry(fact).or_default().push(at);
            }
        }
    }
    needed
}

#[cfg(test)]
mod tests;
