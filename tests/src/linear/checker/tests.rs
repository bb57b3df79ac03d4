//! Histories that can be told in an order, and such that can't.

use super::super::model::{Answer, Change, Op};
use super::*;
use crate::Random;

const STEPS: usize = 1_000_000;

fn call(op: Op, asked: u64, answered: u64, answer: Answer) -> Call {
    Call { op, asked, answered: Some((answered, answer)) }
}

fn open(op: Op, asked: u64) -> Call {
    Call { op, asked, answered: None }
}

fn explained(calls: &[Call]) -> bool {
    match check(calls, STEPS) {
        Verdict::Order(order) => {
            let mut state = State::default();
            for at in order {
                let answer = calls[at].answered.as_ref().map(|(_, answer)| answer);
                state = state.after(&calls[at].op, answer).expect("it says this explains it");
            }
            true
        }
        Verdict::None(_) => false,
        Verdict::Undecided => panic!("too few steps"),
    }
}

fn set(text: u64) -> Op {
    Op::Do(Change::Set(text))
}

fn add(by: i64) -> Op {
    Op::Do(Change::Increment(by))
}

fn append(element: u64) -> Op {
    Op::Do(Change::Append(element))
}

#[test]
fn what_can_be_told_in_an_order_is_accepted() {
    use Answer::{Absent, Done, Number};
    // At the same time: either order.
    for answer in [Absent, Number(1)] {
        assert!(explained(&[call(set(1), 0, 10, Done), call(Op::GetText, 1, 9, answer)]));
    }
    // Two readers of two writes that were under way together.
    assert!(explained(&[
        call(set(1), 0, 10, Done),
        call(set(2), 0, 10, Done),
        call(Op::GetText, 11, 12, Number(1)),
    ]));
    // A killed client's write, seen or not.
    for answer in [Absent, Number(1)] {
        assert!(explained(&[open(set(1), 0), call(Op::GetText, 50, 51, answer)]));
    }
    // The same, coming into force only later.
    assert!(explained(&[
        open(add(5), 0),
        call(add(1), 10, 11, Number(1)),
        call(add(1), 20, 21, Number(7)),
    ]));
    let batch = Op::Batch(vec![Change::Set(1), Change::Increment(2)]);
    let results = Answer::Results(vec![Number(7), Number(2)]);
    assert!(explained(&[
        call(batch, 0, 5, results),
        call(Op::GetRevision, 6, 7, Answer::Revision(7, 1)),
        call(Op::CompareAndSet(7, 3), 8, 9, Done),
    ]));
}

#[test]
fn what_no_order_explains_is_refused() {
    use Answer::{Absent, Done, Number, Refused};
    let bad: Vec<(&str, Vec<Call>)> = vec![
        (
            "an old value",
            vec![
                call(set(1), 0, 1, Done),
                call(set(2), 2, 3, Done),
                call(Op::GetText, 4, 5, Number(1)),
            ],
        ),
        ("a lost value", vec![call(set(1), 0, 1, Done), call(Op::GetText, 2, 3, Absent)]),
        ("a value from nowhere", vec![call(Op::GetText, 0, 1, Number(1))]),
        ("a lost update", vec![call(add(1), 0, 9, Number(1)), call(add(1), 0, 9, Number(1))]),
        (
            "two winners",
            vec![
                call(Op::Do(Change::SetIfAbsent(1)), 0, 9, Done),
                call(Op::Do(Change::SetIfAbsent(2)), 0, 9, Done),
            ],
        ),
        (
            "readers that disagree about the order",
            vec![
                call(set(1), 0, 10, Done),
                call(set(2), 0, 10, Done),
                call(Op::GetText, 11, 12, Number(1)),
                call(Op::GetText, 13, 14, Number(2)),
            ],
        ),
        (
            "a write that comes and goes",
            vec![
                open(set(1), 0),
                call(Op::GetText, 10, 11, Number(1)),
                call(Op::GetText, 12, 13, Absent),
            ],
        ),
        (
            "a killed client's addition, twice",
            vec![open(add(1), 0), call(add(1), 10, 11, Number(3))],
        ),
        (
            "a write before it was asked for",
            vec![call(Op::GetText, 0, 1, Number(1)), open(set(1), 2)],
        ),
        (
            "half a batch",
            vec![
                call(
                    Op::Batch(vec![Change::Set(1), Change::Increment(2)]),
                    0,
                    10,
                    Answer::Results(vec![Number(7), Number(2)]),
                ),
                call(Op::GetAll, 1, 9, Answer::All(Some(1), None, vec![])),
            ],
        ),
        (
            "half of a killed client's batch",
            vec![
                open(Op::Batch(vec![Change::Set(1), Change::Increment(2)]), 0),
                call(Op::GetText, 1, 9, Number(1)),
                call(Op::GetNumber, 10, 11, Absent),
            ],
        ),
        (
            "something of a refused batch",
            vec![
                call(set(9), 0, 1, Done),
                call(Op::Batch(vec![Change::Increment(1), Change::SetIfAbsent(1)]), 2, 3, Refused),
                call(Op::GetNumber, 4, 5, Number(1)),
            ],
        ),
        (
            "an element that went missing",
            vec![
                call(append(1), 0, 9, Number(1)),
                call(append(2), 0, 9, Number(2)),
                call(Op::GetList, 10, 11, Answer::List(vec![2])),
            ],
        ),
        (
            "an element taken twice",
            vec![
                call(append(1), 0, 1, Number(1)),
                call(Op::Pop, 2, 9, Number(1)),
                call(Op::Pop, 2, 9, Number(1)),
            ],
        ),
        (
            "a number that two writes have",
            vec![
                call(set(1), 0, 1, Done),
                call(Op::GetRevision, 2, 3, Answer::Revision(5, 1)),
                call(set(2), 4, 5, Done),
                call(Op::GetRevision, 6, 7, Answer::Revision(5, 2)),
            ],
        ),
        (
            "a write over a newer one",
            vec![
                call(set(1), 0, 1, Done),
                call(Op::GetRevision, 2, 3, Answer::Revision(5, 1)),
                call(set(2), 4, 5, Done),
                call(Op::CompareAndSet(5, 3), 6, 7, Done),
            ],
        ),
        (
            "a condition that held and was refused",
            vec![
                call(set(1), 0, 1, Done),
                call(Op::GetRevision, 2, 3, Answer::Revision(5, 1)),
                call(Op::CompareAndSet(5, 3), 6, 7, Refused),
            ],
        ),
    ];
    for (what, calls) in bad {
        assert!(!explained(&calls), "{what} was accepted");
    }
}

/// Every order, one after the other: slow, and too simple to be wrong.
fn explained_by_any_order(calls: &[Call], left: &mut Vec<usize>, state: &State) -> bool {
    if left.iter().all(|at| calls[*at].answered.is_none()) {
        return true;
    }
    (0..left.len()).any(|index| {
        let call = left.remove(index);
        let early = left.iter().all(|other| {
            calls[*other].answered.as_ref().is_none_or(|(at, _)| *at >= calls[call].asked)
        });
        let answer = calls[call].answered.as_ref().map(|(_, answer)| answer);
        let after = early.then(|| state.after(&calls[call].op, answer)).flatten();
        let found = after.is_some_and(|after| explained_by_any_order(calls, left, &after));
        left.insert(index, call);
        found
    })
}

/// A history that can be explained, unless an answer is exchanged for another one.
fn made_up(random: &mut Random, large: bool) -> Vec<Call> {
    let mut state = State::default();
    let mut calls: Vec<Call> = Vec::new();
    for number in 0..2 + random.below(5) {
        let by = if large { (1 << (40 + number)) + 1 } else { 1 };
        let ops = [
            Op::GetText,
            Op::GetNumber,
            Op::GetAll,
            Op::Pop,
            set(number),
            add(by),
            append(number),
            Op::Batch(vec![Change::Increment(by), Change::SetIfAbsent(number)]),
            Op::Do([Change::DeleteText, Change::DeleteNumber][random.below(2) as usize]),
        ];
        let op = ops[random.below(9) as usize].clone();
        let answer = state.carry_out(&op, None).expect("small numbers");
        let done = 10 + number * 3;
        let asked = done - random.below(10);
        let answered = (random.below(6) > 0).then(|| (done + 1 + random.below(10), answer));
        calls.push(Call { op, asked, answered });
    }
    if random.below(2) == 0 {
        let [from, to] = [0; 2].map(|_| random.below(calls.len() as u64) as usize);
        let other = calls[from].answered.clone().map(|(_, answer)| answer);
        if let (Some((_, answer)), Some(other)) = (&mut calls[to].answered, other) {
            *answer = other;
        }
    }
    calls
}

#[test]
fn it_agrees_with_trying_every_order() {
    let seed = crate::seed();
    let mut random = Random(seed);
    let mut verdicts = [0; 2];
    for round in 0..20_000 {
        let calls = made_up(&mut random, round % 2 == 0);
        let mut left = (0..calls.len()).collect();
        let slow = explained_by_any_order(&calls, &mut left, &State::default());
        assert_eq!(explained(&calls), slow, "OTTO_SEED={seed}, round {round}: {calls:#?}");
        verdicts[usize::from(slow)] += 1;
    }
    assert!(verdicts.iter().all(|count| *count > 500), "they show little: {verdicts:?}");
}
