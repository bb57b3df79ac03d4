//! Batches: all of their operations are carried out, or none. No I/O here.

use super::operation::{Action, Step};
use super::store::{Store, Trial};
use crate::error::{Error, Result};
use crate::json::elements;
use crate::limits::BATCH_OPERATIONS_MAX;
use crate::values::Condition;
use std::borrow::Cow;

/// Why a batch is not carried out.
#[derive(Debug)]
pub(super) enum Refusal {
    /// A condition does not hold: the line that says which.
    Unmet(String),
    /// Something is wrong with it.
    Wrong(Error),
}

/// Reads the operations of a batch, a checked, compact JSON array.
///
/// # Errors
/// One line that says which operation is wrong, and how.
pub(super) fn parse(operations: &str) -> Result<Vec<Step<'_>>> {
    if !operations.starts_with('[') {
        return Err(Error::usage("a batch is an array of operations"));
    }
    let mut steps = Vec::new();
    for (at, operation) in elements(operations).enumerate() {
        if at == BATCH_OPERATIONS_MAX {
            let message =
                format!("a batch has at most {BATCH_OPERATIONS_MAX} operations: send several");
            return Err(Error::usage(message));
        }
        steps.push(Step::parse(operation).map_err(|error| of_step(at, &error))?);
    }
    Ok(steps)
}

/// Makes sure that every step can be carried out after those before it, with none carried out.
///
/// # Errors
/// Why not.
pub(super) fn check(store: &Store, steps: &[Step<'_>]) -> std::result::Result<(), Refusal> {
    let mut trial = Trial::new(store);
    for (at, Step { key, action }) in steps.iter().enumerate() {
        let made = match action {
            Action::Set { value, condition, .. } => {
                let revision = trial.revision(key);
                match condition {
                    Condition::IfAbsent if revision != 0 => {
                        return Err(Refusal::Unmet(format!("exists: {key}")));
                    }
                    Condition::IfRevision(wanted) if revision != *wanted => {
                        return Err(Refusal::Unmet(format!("conflict: {key}")));
                    }
                    _ => trial.set(key, Cow::Borrowed(value)).map(drop),
                }
            }
            Action::Delete => {
                trial.delete(key);
                Ok(())
            }
            Action::Increment(by) => trial.increment(key, *by).map(drop),
            Action::Append(value) => trial.append(key, value).map(drop),
        };
        made.map_err(|error| Refusal::Wrong(of_step(at, &error)))?;
    }
    Ok(())
}

/// The error of the step at `at`, which it names.
pub(super) fn of_step(at: usize, error: &Error) -> Error {
    Error::new(error.kind(), format!("operation {}: {error}", at + 1))
}
