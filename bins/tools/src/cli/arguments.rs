//! What was given on the command line, and the quick way to read it.

use super::program::{Argument, Kind, Program};
use clap::ArgMatches;
use std::ffi::OsString;

/// Something that holds the texts of arguments by name.
pub trait Given {
    /// The text of an argument, `None` where it is absent.
    fn given(&self, name: &str) -> Option<&str>;

    /// The text of an argument that must be there; empty where it is absent.
    fn text(&self, name: &str) -> &str {
        self.given(name).unwrap_or_default()
    }
}

impl Given for ArgMatches {
    fn given(&self, name: &str) -> Option<&str> {
        self.get_one::<String>(name).map(String::as_str)
    }
}

/// The arguments of one call of a [`Program`].
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Arguments {
    /// Flags are there with an empty text.
    found: Vec<(&'static str, String)>,
    /// What is passed on, and so may be no text.
    rest: Vec<OsString>,
}

impl Given for Arguments {
    fn given(&self, name: &str) -> Option<&str> {
        self.found.iter().find(|(found, _)| *found == name).map(|(_, text)| text.as_str())
    }
}

impl Arguments {
    /// Whether a flag is set.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        self.given(name).is_some()
    }

    /// The words to pass on: a command and its arguments.
    #[must_use]
    pub fn rest(&self) -> &[OsString] {
        &self.rest
    }

    pub(super) fn pass_on(&mut self, name: &'static str, words: impl Iterator<Item = OsString>) {
        self.push(name, String::new());
        self.rest.extend(words);
    }

    pub(super) fn push(&mut self, name: &'static str, text: String) {
        self.found.push((name, text));
    }

    /// Reads a plain command line: known flags, options with a value that is none, and words, each
    /// once. `None` for anything else, which is clap's to read or refuse: building its definition
    /// costs more than all the rest such a program does.
    pub(crate) fn plain(
        program: &Program,
        given: impl Iterator<Item = OsString>,
    ) -> Option<Arguments> {
        let mut words = program.arguments.iter().filter(|argument| argument.is_word());
        let mut found = Arguments::default();
        let mut given = given.skip(1);
        while let Some(text) = given.next() {
            if text == "--" {
                let rest = words.next().filter(|word| word.kind == Kind::Rest)?;
                found.pass_on(rest.name, given);
                if found.rest.is_empty() {
                    return None;
                }
                break;
            }
            let text = text.into_string().ok()?;
            let (argument, text) = match spelled(program, &text) {
                Some(flag) if flag.kind == Kind::Flag => (flag, String::new()),
                Some(option) => {
                    (option, given.next()?.into_string().ok().filter(|text| is_word(text))?)
                }
                None if is_word(&text) => match words.next()? {
                    rest if rest.kind == Kind::Rest => {
                        found.pass_on(rest.name, std::iter::once(text.into()).chain(given));
                        break;
                    }
                    word => (word, text),
                },
                None => return None,
            };
            if found.flag(argument.name) {
                return None;
            }
            found.push(argument.name, text);
        }
        let has = |name: &str| found.flag(name);
        let complete = program.arguments.iter().all(|argument| {
            let fits = !has(argument.name)
                || !argument.conflicts_with.iter().any(|other| has(other))
                    && argument.requires.is_none_or(has);
            fits && !argument.is_missed(has)
        });
        let chosen = program.one_of.iter().filter(|name| has(name)).count();
        let one = program.one_of.is_empty() || chosen == 1;
        (complete && one).then_some(found)
    }
}

/// The flag or option that is spelled `text`.
fn spelled<'p>(program: &'p Program, text: &str) -> Option<&'p Argument> {
    let is_it = |argument: &&Argument| {
        if argument.is_word() {
            return false;
        }
        match text.strip_prefix("--") {
            Some(name) => name == argument.name && !argument.letter_only,
            None => argument.letter.is_some_and(|letter| {
                let mut rest = text.chars();
                rest.next() == Some('-') && rest.next() == Some(letter) && rest.next().is_none()
            }),
        }
    };
    program.arguments.iter().find(is_it)
}

/// Whether `text` can't be meant as a flag; `-` alone is standard input.
fn is_word(text: &str) -> bool {
    !text.starts_with('-') || text == "-"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::PROGRAMS;

    /// Everything short that can be said with these words, for every program: what is read the
    /// quick way is read by clap alike.
    #[test]
    fn the_quick_way_reads_what_clap_reads() {
        let mut plain = 0;
        for program in PROGRAMS {
            let mut words = vec!["".to_owned(), "a.b".into(), "-".into(), "-5".into(), "--".into()];
            for argument in program.arguments.iter().filter(|argument| !argument.is_word()) {
                words.push(format!("--{}", argument.name));
                words.extend(argument.letter.map(|letter| format!("-{letter}")));
            }
            for length in 0..4 {
                for number in 0..words.len().pow(length) {
                    let mut line = vec![program.name.to_owned()];
                    let mut rest = number;
                    for _ in 0..length {
                        line.push(words[rest % words.len()].clone());
                        rest /= words.len();
                    }
                    let Some(quick) = Arguments::plain(program, line.iter().map(OsString::from))
                    else {
                        continue;
                    };
                    plain += 1;
                    let matches = program
                        .command()
                        .try_get_matches_from(&line)
                        .unwrap_or_else(|error| panic!("{line:?}: {error}"));
                    let slow = program.arguments(&matches);
                    assert_eq!(quick.rest, slow.rest, "{line:?}");
                    for argument in program.arguments {
                        assert_eq!(
                            quick.given(argument.name),
                            slow.given(argument.name),
                            "{} of {line:?}",
                            argument.name
                        );
                    }
                }
            }
        }
        assert!(plain > 500, "only {plain} command lines were plain");
    }

    #[test]
    fn every_definition_is_one_clap_accepts() {
        for program in PROGRAMS {
            program.command().debug_assert();
        }
    }
}
