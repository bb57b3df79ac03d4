//! A program's command line as constant data: a plain one is read from it at once, for everything
//! else (help, errors, man pages, completions, unusual spellings) clap's definition is built of it.

use super::arguments::Arguments;
use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command};
use std::ffi::OsString;

/// The exit statuses, told at the end of every help.
const STATUSES: &str = "Exit status: 0 done; 1 failed; 2 usage; 3 no such key, region or stream; \
4 timed out; 5 condition not met; 6 the producer ended and the value can no longer come.";

/// What an [`Argument`] looks like on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `--name`
    Flag,
    /// `--name VALUE`
    Option { value: &'static str },
    /// A word by its place, which must be there.
    Required,
    /// A word by its place.
    Optional,
    /// All words from its place on, whatever they look like: a command to run.
    Rest,
}

/// One argument of a program.
#[derive(Debug, Clone, Copy)]
pub struct Argument {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
    /// One letter for a flag; where `letter_only`, its only spelling.
    pub(super) letter: Option<char>,
    pub(super) letter_only: bool,
    pub(super) conflicts_with: &'static [&'static str],
    pub(super) requires: Option<&'static str>,
    /// One that must be there otherwise need not where one of these is.
    pub(super) unless: &'static [&'static str],
    negative_numbers: bool,
}

/// A program: its name, what it does in one line, its examples and arguments.
#[derive(Debug)]
pub struct Program {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) examples: &'static str,
    pub(super) arguments: &'static [Argument],
    /// Exactly one of these must be given; empty: no such rule.
    pub(super) one_of: &'static [&'static str],
}

const fn argument(name: &'static str, kind: Kind, help: &'static str) -> Argument {
    Argument {
        name,
        kind,
        help,
        letter: None,
        letter_only: false,
        conflicts_with: &[],
        requires: None,
        unless: &[],
        negative_numbers: false,
    }
}

pub(super) const fn flag(name: &'static str, help: &'static str) -> Argument {
    argument(name, Kind::Flag, help)
}

pub(super) const fn option(
    name: &'static str,
    value: &'static str,
    help: &'static str,
) -> Argument {
    argument(name, Kind::Option { value }, help)
}

pub(super) const fn required(name: &'static str, help: &'static str) -> Argument {
    argument(name, Kind::Required, help)
}

pub(super) const fn optional(name: &'static str, help: &'static str) -> Argument {
    argument(name, Kind::Optional, help)
}

pub(super) const fn rest(name: &'static str, help: &'static str) -> Argument {
    argument(name, Kind::Rest, help)
}

/// `--via`, as every program has it that reads or writes values.
pub(super) const VIA: Argument = option(
    "via",
    "T",
    "Transport: socket, files or mmap [default: $OTTO_VIA, else the socket if there is one, else files]",
);

/// `--run`, of programs that are of use from another terminal as well.
pub(super) const RUN: Argument = option(
    "run",
    "ID",
    "The run ID of yours [default: this run, else the only one of yours that lives]",
);

impl Argument {
    pub(super) const fn letter(mut self, letter: char) -> Argument {
        self.letter = Some(letter);
        self
    }

    pub(super) const fn letter_only(mut self, letter: char) -> Argument {
        self.letter_only = true;
        self.letter(letter)
    }

    pub(super) const fn conflicts_with(mut self, others: &'static [&'static str]) -> Argument {
        self.conflicts_with = others;
        self
    }

    pub(super) const fn requires(mut self, other: &'static str) -> Argument {
        self.requires = Some(other);
        self
    }

    pub(super) const fn unless(mut self, others: &'static [&'static str]) -> Argument {
        self.unless = others;
        self
    }

    pub(super) const fn negative_numbers(mut self) -> Argument {
        self.negative_numbers = true;
        self
    }

    pub(super) fn is_word(&self) -> bool {
        matches!(self.kind, Kind::Required | Kind::Optional | Kind::Rest)
    }

    /// Whether it has to be there, where `has` says what is.
    pub(super) fn is_missed(&self, has: impl Fn(&str) -> bool) -> bool {
        matches!(self.kind, Kind::Required | Kind::Rest)
            && !has(self.name)
            && !self.unless.iter().any(|other| has(other))
    }

    /// As clap knows it.
    pub(super) fn definition(&self) -> Arg {
        let mut arg = Arg::new(self.name).help(self.help);
        arg = match self.kind {
            Kind::Flag => arg.action(ArgAction::SetTrue),
            // Takes what follows it, whatever that looks like.
            Kind::Option { value } => arg.value_name(value).allow_hyphen_values(true),
            Kind::Required | Kind::Optional => arg.value_name(self.name),
            Kind::Rest => arg
                .value_name(self.name)
                .value_parser(clap::value_parser!(OsString))
                .num_args(1..)
                .trailing_var_arg(true),
        };
        if matches!(self.kind, Kind::Required | Kind::Rest) {
            arg = match self.unless {
                [] => arg.required(true),
                others => arg.required_unless_present_any(others),
            };
        }
        if !self.is_word() && !self.letter_only {
            arg = arg.long(self.name);
        }
        if let Some(letter) = self.letter {
            arg = arg.short(letter);
        }
        arg = arg.conflicts_with_all(self.conflicts_with);
        if let Some(other) = self.requires {
            arg = arg.requires(other);
        }
        if self.negative_numbers { arg.allow_negative_numbers(true) } else { arg }
    }
}

impl Program {
    /// The program's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// As clap knows it.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = command(self.name, self.about, self.examples)
            .args(self.arguments.iter().map(Argument::definition));
        if !self.one_of.is_empty() {
            command = command.group(ArgGroup::new("what").args(self.one_of).required(true));
        }
        command
    }

    /// What clap made of a command line.
    pub(crate) fn arguments(&self, matches: &ArgMatches) -> Arguments {
        let mut found = Arguments::default();
        for argument in self.arguments {
            if argument.kind == Kind::Flag {
                if matches.get_flag(argument.name) {
                    found.push(argument.name, String::new());
                }
            } else if argument.kind == Kind::Rest {
                if let Some(words) = matches.get_many::<OsString>(argument.name) {
                    found.pass_on(argument.name, words.cloned());
                }
            } else if let Some(text) = matches.get_one::<String>(argument.name) {
                found.push(argument.name, text.clone());
            }
        }
        found
    }
}

/// What every program's definition begins with.
pub(super) fn command(name: &'static str, about: &'static str, examples: &str) -> Command {
    Command::new(name)
        .about(about)
        .version(env!("CARGO_PKG_VERSION"))
        .after_help(format!("Examples:\n{examples}\n\n{STATUSES}"))
}
