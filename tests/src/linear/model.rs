//! What a server that does one thing at a time answers: three keys, a text, a number and a list.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

/// What one client asks. Texts and elements are numbers, each written at most once, so that
/// whoever reads one knows who wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Reads the text.
    GetText,
    /// Reads the text with the number of its last write.
    GetRevision,
    /// Reads the number.
    GetNumber,
    /// Reads the whole list.
    GetList,
    /// Reads all three at once.
    GetAll,
    /// Takes the first element off the list.
    Pop,
    /// Writes the text if its last write has this number.
    CompareAndSet(u64, u64),
    /// One change on its own.
    Do(Change),
    /// All of these at once, or none.
    Batch(Vec<Change>),
}

/// A change of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Writes the text.
    Set(u64),
    /// Writes the text if there is none.
    SetIfAbsent(u64),
    /// Removes the text.
    DeleteText,
    /// Adds to the number.
    Increment(i64),
    /// Removes the number.
    DeleteNumber,
    /// Adds to the end of the list.
    Append(u64),
    /// Removes the list.
    DeleteList,
}

/// What the server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Done, nothing to tell.
    Done,
    /// Nothing is there.
    Absent,
    /// The condition does not hold; nothing was changed.
    Refused,
    /// A text, a number, an element, a sum, a length.
    Number(i64),
    /// The number of the text's last write, and the text.
    Revision(u64, u64),
    /// The elements.
    List(Vec<u64>),
    /// Text, number and list.
    All(Option<u64>, Option<i64>, Vec<u64>),
    /// One of each part of a batch: a write's number where it is told, a sum, a length.
    Results(Vec<Answer>),
}

/// What the server holds.
///
/// The number of a write is known only once somebody has been told it, so it is part of the state
/// as a guess that every later telling has to agree with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct State {
    text: Option<u64>,
    /// The number of the text's last write, if somebody has been told.
    revision: Option<u64>,
    /// No later write of the text has a number as low.
    told: u64,
    number: Option<i64>,
    list: Vec<u64>,
}

impl State {
    /// The state after `op`, if `answer` is what the server says to it now; any answer will do
    /// where none came.
    #[must_use]
    pub fn after(&self, op: &Op, answer: Option<&Answer>) -> Option<State> {
        let mut state = self.clone();
        let said = state.carry_out(op, answer)?;
        answer.is_none_or(|answer| *answer == said).then_some(state)
    }

    /// Carries `op` out; `answer` tells the numbers of writes, `None` when it can't be right.
    pub(super) fn carry_out(&mut self, op: &Op, answer: Option<&Answer>) -> Option<Answer> {
        Some(match op {
            Op::GetText => number_or_absent(self.text.map(u64::cast_signed)),
            Op::GetNumber => number_or_absent(self.number),
            Op::GetList if self.list.is_empty() => Answer::Absent,
            Op::GetList => Answer::List(self.list.clone()),
            Op::GetAll => Answer::All(self.text, self.number, self.list.clone()),
            Op::GetRevision => match (self.text, answer) {
                (None, _) => Answer::Absent,
                (Some(text), Some(Answer::Revision(revision, _))) => {
                    self.learn(*revision)?;
                    Answer::Revision(*revision, text)
                }
                (Some(_), Some(_)) => return None,
                (Some(_), None) => Answer::Done,
            },
            Op::Pop if self.list.is_empty() => Answer::Absent,
            Op::Pop => Answer::Number(self.list.remove(0).cast_signed()),
            Op::CompareAndSet(revision, text) => {
                // Whoever knows a number was told it: what nobody was told is another one.
                if self.revision != Some(*revision) {
                    return Some(Answer::Refused);
                }
                self.set(*text);
                Answer::Done
            }
            Op::Do(change) => self.change(*change)?,
            Op::Batch(changes) => {
                if self.refuses(changes) {
                    return Some(Answer::Refused);
                }
                let told = match answer {
                    Some(Answer::Results(told)) if told.len() == changes.len() => Some(told),
                    Some(_) => return None,
                    None => None,
                };
                let mut results = Vec::new();
                for (at, change) in changes.iter().enumerate() {
                    let mut said = self.change(*change)?;
                    // A removal inside a batch says only whether anything was there.
                    if said == Answer::Absent {
                        said = Answer::Refused;
                    }
                    if let (Some(told), Change::Set(_) | Change::SetIfAbsent(_)) = (told, change) {
                        if let Answer::Number(revision) = told[at] {
                            self.learn(revision.cast_unsigned())?;
                        }
                        said = told[at].clone();
                    }
                    results.push(said);
                }
                Answer::Results(results)
            }
        })
    }

    fn change(&mut self, change: Change) -> Option<Answer> {
        let done = |there: bool| if there { Answer::Done } else { Answer::Absent };
        Some(match change {
            Change::SetIfAbsent(_) if self.text.is_some() => Answer::Refused,
            Change::Set(text) | Change::SetIfAbsent(text) => {
                self.set(text);
                Answer::Done
            }
            Change::DeleteText => {
                self.revision = None;
                done(self.text.take().is_some())
            }
            Change::Increment(by) => {
                let sum = self.number.unwrap_or(0).checked_add(by)?;
                self.number = Some(sum);
                Answer::Number(sum)
            }
            Change::DeleteNumber => done(self.number.take().is_some()),
            Change::Append(element) => {
                self.list.push(element);
                Answer::Number(i64::try_from(self.list.len()).ok()?)
            }
            Change::DeleteList => done(!std::mem::take(&mut self.list).is_empty()),
        })
    }

    /// Whether a condition among `changes` fails, each looked at after those before it.
    fn refuses(&self, changes: &[Change]) -> bool {
        let mut trial = self.clone();
        changes.iter().any(|change| {
            let asks = matches!(change, Change::SetIfAbsent(_));
            trial.change(*change) == Some(Answer::Refused) && asks
        })
    }

    fn set(&mut self, text: u64) {
        self.text = Some(text);
        self.revision = None;
    }

    /// Takes note of the number of the text's last write; `None` when it can't be that.
    fn learn(&mut self, revision: u64) -> Option<()> {
        match self.revision {
            Some(known) => (known == revision).then_some(()),
            None if revision <= self.told => None,
            None => {
                self.revision = Some(revision);
                self.told = revision;
                Some(())
            }
        }
    }
}

/// Something that holds in a state, and once it has ceased to hold never does again: texts and
/// elements are written once, and sums of different large numbers do not repeat.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Fact {
    /// This is the text.
    Text(u64),
    /// This is the number.
    Number(i64),
    /// This is the list.
    List(Vec<u64>),
}

impl State {
    /// What held and does not hold in the state `next`.
    #[must_use]
    pub fn lost(&self, next: &State) -> Vec<Fact> {
        let text = self.text.filter(|_| self.text != next.text).map(Fact::Text);
        let number = self.number.filter(|_| self.number != next.number).map(Fact::Number);
        let list = (!self.list.is_empty() && self.list != next.list)
            .then(|| Fact::List(self.list.clone()));
        [text, number, list].into_iter().flatten().collect()
    }
}

impl Op {
    /// What must hold when this is carried out, if `answer` is the answer.
    #[must_use]
    pub fn needs(&self, answer: &Answer) -> Vec<Fact> {
        let list = |list: &Vec<u64>| (!list.is_empty()).then(|| Fact::List(list.clone()));
        let before = |by: &i64, sum: &i64| (sum != by).then(|| Fact::Number(sum - by));
        let needs = match (self, answer) {
            (Op::GetText, Answer::Number(text)) => vec![Some(Fact::Text(text.cast_unsigned()))],
            (Op::GetRevision, Answer::Revision(_, text)) => vec![Some(Fact::Text(*text))],
            (Op::GetNumber, Answer::Number(number)) => vec![Some(Fact::Number(*number))],
            (Op::GetList, Answer::List(elements)) => vec![list(elements)],
            (Op::GetAll, Answer::All(text, number, elements)) => {
                vec![text.map(Fact::Text), number.map(Fact::Number), list(elements)]
            }
            (Op::Do(Change::Increment(by)), Answer::Number(sum)) => vec![before(by, sum)],
            (Op::Batch(changes), Answer::Results(results)) => {
                let mut sums = changes.iter().zip(results);
                let first = sums.find(|(change, _)| {
                    matches!(change, Change::Increment(_) | Change::DeleteNumber)
                });
                match first {
                    Some((Change::Increment(by), Answer::Number(sum))) => vec![before(by, sum)],
                    _ => vec![],
                }
            }
            _ => vec![],
        };
        needs.into_iter().flatten().collect()
    }
}

fn number_or_absent(number: Option<i64>) -> Answer {
    number.map_or(Answer::Absent, Answer::Number)
}

// Histories come through pipes: a word for each thing, numbers behind colons.

impl Display for Change {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Change::Set(text) => write!(out, "set:{text}"),
            Change::SetIfAbsent(text) => write!(out, "setnx:{text}"),
            Change::DeleteText => write!(out, "deltext"),
            Change::Increment(by) => write!(out, "incr:{by}"),
            Change::DeleteNumber => write!(out, "delnumber"),
            Change::Append(element) => write!(out, "append:{element}"),
            Change::DeleteList => write!(out, "dellist"),
        }
    }
}

impl FromStr for Change {
    type Err = String;

    fn from_str(text: &str) -> Result<Change, String> {
        let (word, number) = text.split_once(':').unwrap_or((text, "0"));
        let number: i64 = number.parse().map_err(|_| format!("no change: {text}"))?;
        Ok(match word {
            "set" => Change::Set(number.cast_unsigned()),
            "setnx" => Change::SetIfAbsent(number.cast_unsigned()),
            "deltext" => Change::DeleteText,
            "incr" => Change::Increment(number),
            "delnumber" => Change::DeleteNumber,
            "append" => Change::Append(number.cast_unsigned()),
            "dellist" => Change::DeleteList,
            _ => return Err(format!("no change: {text}")),
        })
    }
}

impl Display for Op {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Op::GetText => write!(out, "gettext"),
            Op::GetRevision => write!(out, "getrev"),
            Op::GetNumber => write!(out, "getnumber"),
            Op::GetList => write!(out, "getlist"),
            Op::GetAll => write!(out, "getall"),
            Op::Pop => write!(out, "pop"),
            Op::CompareAndSet(revision, text) => write!(out, "cas:{revision}:{text}"),
            Op::Do(change) => write!(out, "{change}"),
            Op::Batch(changes) => {
                let changes: Vec<String> = changes.iter().map(Change::to_string).collect();
                write!(out, "batch={}", changes.join("+"))
            }
        }
    }
}

impl FromStr for Op {
    type Err = String;

    fn from_str(text: &str) -> Result<Op, String> {
        if let Some(changes) = text.strip_prefix("batch=") {
            let changes: Result<_, _> = changes.split('+').map(Change::from_str).collect();
            return changes.map(Op::Batch);
        }
        if let Some(rest) = text.strip_prefix("cas:") {
            let parts = rest.split_once(':').and_then(|(a, b)| Some((a.parse(), b.parse().ok()?)));
            let Some((Ok(revision), text)) = parts else { return Err(format!("no op: {text}")) };
            return Ok(Op::CompareAndSet(revision, text));
        }
        Ok(match text {
            "gettext" => Op::GetText,
            "getrev" => Op::GetRevision,
            "getnumber" => Op::GetNumber,
            "getlist" => Op::GetList,
            "getall" => Op::GetAll,
            "pop" => Op::Pop,
            change => Op::Do(change.parse()?),
        })
    }
}
