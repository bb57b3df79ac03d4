//! What the kernel tells of a process in one line.

use nix::unistd::Pid;

/// What `/proc/<id>/stat` says of a process.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) state: char,
    pub(crate) group: Pid,
    /// Processor time used, that of children it has waited for included.
    pub(crate) ticks: u64,
    /// When it started, which tells it from another of the same number.
    pub(crate) started: u64,
}

impl Stat {
    pub(crate) fn of(id: u32) -> Option<Stat> {
        Stat::parse(&std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?)
    }

    /// The name, in parentheses, may hold anything; behind the last of them stand the state, the
    /// parent and the group, and the four times from the twelfth field on.
    fn parse(text: &str) -> Option<Stat> {
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let ticks = fields.get(11..15)?.iter().map(|field| field.parse::<u64>().ok());
        Some(Stat {
            state: fields.first()?.chars().next()?,
            group: Pid::from_raw(fields.get(2)?.parse().ok()?),
            ticks: ticks.sum::<Option<u64>>()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_may_stand_in_a_line_of_proc() {
        let line = "42 (a) R (b) S 1 40 40 0 -1 4194304 90 0 0 0 3 4 5 6 20 0 1 0 100 0 0";
        let stat = Stat { state: 'S', group: Pid::from_raw(40), ticks: 18, started: 100 };
        assert_eq!(Stat::parse(line), Some(stat));
        assert_eq!(Stat::parse("42 (a) S 1"), None);
    }
}
