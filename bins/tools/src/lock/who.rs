//! `--who`: who holds which lock.

use crate::cli::{Arguments, Given};
use crate::table::table;
use crate::{Done, print};
use otto_core::run::Environment;
use otto_core::socket::Client;
use otto_core::{Error, ErrorKind, Json, Pattern, Result};
use serde_json::Value;

pub(super) fn run(arguments: &Arguments) -> Done {
    let pattern = Pattern::parse(arguments.text("NAME"))?;
    let mut client = Client::connect(Environment::from_process().socket()?)?;
    let locks = client.locks(&pattern)?;
    let out = if arguments.flag("json") {
        format!("{}\n", locks.as_str())
    } else {
        text(&parse(&locks)?)
    };
    print(out.as_bytes())?;
    Ok(0)
}

/// A lock that somebody holds.
pub(super) struct Lock {
    pub(super) name: String,
    slots: u64,
    holders: Vec<Holder>,
    waiting: u64,
}

struct Holder {
    token: u64,
    process: u64,
    task: String,
    seconds: f64,
}

/// Reads what the server tells of its locks.
pub(super) fn parse(locks: &Json) -> Result<Vec<Lock>> {
    let broken = |_| Error::new(ErrorKind::Protocol, "the server's reply is no list of locks");
    let locks: Vec<Value> = serde_json::from_str(locks.as_str()).map_err(broken)?;
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let holder = |holder: &Value| Holder {
        token: number(&holder["token"]),
        process: number(&holder["pid"]),
        task: text(&holder["task"]),
        seconds: holder["seconds"].as_f64().unwrap_or_default(),
    };
    let lock = |lock: &Value| Lock {
        name: text(&lock["name"]),
        slots: number(&lock["slots"]),
        holders: lock["holders"].as_array().into_iter().flatten().map(holder).collect(),
        waiting: number(&lock["waiting"]),
    };
    Ok(locks.iter().map(lock).collect())
}

impl Lock {
    /// `held by process 4711 (task build) for 3.2 s`
    pub(super) fn sentence(&self) -> String {
        let holder = |holder: &Holder| {
            let Holder { process, task, seconds, .. } = holder;
            let task = if task.is_empty() { String::new() } else { format!(" (task {task})") };
            format!("process {process}{task} for {seconds:.1} s")
        };
        let holders: Vec<String> = self.holders.iter().map(holder).collect();
        format!("held by {}", holders.join(", "))
    }
}

/// A line for each holder; nothing where there is none.
fn text(locks: &[Lock]) -> String {
    let rows = locks.iter().flat_map(|lock| lock.holders.iter().map(move |holder| (lock, holder)));
    let mut rows = rows
        .map(|(lock, holder)| {
            [
                lock.name.clone(),
                format!("{}/{}", lock.holders.len(), lock.slots),
                holder.process.to_string(),
                holder.task.clone(),
                holder.token.to_string(),
                format!("{:.1}", holder.seconds),
                lock.waiting.to_string(),
            ]
        })
        .peekable();
    if rows.peek().is_none() {
        return String::new();
    }
    table(["LOCK", "HELD", "PROCESS", "TASK", "NUMBER", "SECONDS", "WAITING"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holders_become_rows_and_words() {
        let locks = r#"[{"name":"db","slots":2,"holders":[{"token":7,"pid":42,"task":"build",
            "seconds":3.25},{"token":9,"pid":43,"seconds":0.04}],"waiting":1}]"#;
        let locks = parse(&Json::parse(locks).unwrap()).unwrap();
        let rows = "LOCK  HELD  PROCESS  TASK   NUMBER  SECONDS  WAITING\n\
                    db    2/2   42       build  7       3.2      1\n\
                    db    2/2   43              9       0.0      1\n";
        assert_eq!(text(&locks), rows);
        let words = "held by process 42 (task build) for 3.2 s, process 43 for 0.0 s";
        assert_eq!(locks[0].sentence(), words);
        assert_eq!(text(&[]), "");
    }
}
