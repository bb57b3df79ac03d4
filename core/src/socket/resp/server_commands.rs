//! What clients ask of the server itself, mostly when they connect.

use super::glob::{self, Glob};
use super::number;
use super::parse::Args;
use super::reply::{self, Failure, NOT_INTEGER, SYNTAX};
use super::table::{self, Command, NAMED};
use super::{Call, Done, Flow};

/// The release whose replies these are.
pub(super) const VERSION: &str = "7.0.15";

/// What CONFIG GET tells: that nothing is kept on a disk and nothing is evicted.
const CONFIGURATION: &[(&str, &str)] = &[
    ("appendfsync", "everysec"),
    ("appendonly", "no"),
    ("databases", "1"),
    ("maxclients", "8192"),
    ("maxmemory", "0"),
    ("maxmemory-policy", "noeviction"),
    ("notify-keyspace-events", ""),
    ("save", ""),
    ("timeout", "0"),
];

impl Call<'_> {
    pub(super) fn ping(&mut self, args: &Args<'_>) -> Done {
        if args.len() > 2 {
            return Err(table::wrong_arity(Command::Ping));
        }
        if self.session.subscriptions > 0 {
            reply::array(self.out, 2);
            reply::bulk(self.out, b"pong");
            reply::bulk(self.out, args.get(1));
        } else if args.len() == 2 {
            reply::bulk(self.out, args.get(1));
        } else {
            reply::simple(self.out, "PONG");
        }
        Ok(Flow::Done)
    }

    pub(super) fn echo(&mut self, args: &Args<'_>) -> Done {
        reply::bulk(self.out, args.get(1));
        Ok(Flow::Done)
    }

    pub(super) fn select(&mut self, args: &Args<'_>) -> Done {
        match number::integer(args.get(1)) {
            Some(0) => self.ok(),
            Some(number) if i32::try_from(number).is_ok() => {
                Err(Failure::Known("ERR DB index is out of range"))
            }
            Some(_) => Err(Failure::Known(
                "ERR value is out of range, value must between -2147483648 and 2147483647",
            )),
            None => Err(NOT_INTEGER),
        }
    }

    pub(super) fn size(&mut self) -> Done {
        reply::count(self.out, self.dispatch.store.len());
        Ok(Flow::Done)
    }

    pub(super) fn hello(&mut self, args: &Args<'_>) -> Done {
        if args.len() > 1 {
            let no_number = "ERR Protocol version is not an integer or out of range";
            match number::integer(args.get(1)).ok_or(Failure::Known(no_number))? {
                2 => {}
                _ => return Err(Failure::Known("NOPROTO unsupported protocol version")),
            }
        }
        let mut rest = args.from(2);
        while let Some(option) = rest.next() {
            let mut more = rest.clone();
            if option.eq_ignore_ascii_case(b"auth")
                && let (Some(user), Some(_)) = (more.next(), more.next())
            {
                if user != b"default" {
                    let text = "WRONGPASS invalid username-password pair or user is disabled.";
                    return Err(Failure::Known(text));
                }
                rest = more;
            } else if option.eq_ignore_ascii_case(b"setname")
                && let Some(name) = rest.next()
            {
                self.name(name)?;
            } else {
                let option = String::from_utf8_lossy(option);
                return Err(Failure::Text(format!("ERR Syntax error in HELLO option '{option}'")));
            }
        }
        let id = self.dispatch.resp.known(self.client).id;
        reply::array(self.out, 14);
        for (name, value) in [("server", "redis"), ("version", VERSION)] {
            reply::bulk(self.out, name.as_bytes());
            reply::bulk(self.out, value.as_bytes());
        }
        reply::bulk(self.out, b"proto");
        reply::integer(self.out, 2);
        reply::bulk(self.out, b"id");
        reply::integer(self.out, id);
        for text in ["mode", "standalone", "role", "master", "modules"] {
            reply::bulk(self.out, text.as_bytes());
        }
        reply::array(self.out, 0);
        Ok(Flow::Done)
    }

    pub(super) fn configuration(&mut self, args: &Args<'_>) -> Done {
        let mut found: Vec<(&[u8], &str)> = Vec::new();
        for pattern in args.from(2) {
            glob::check(pattern)?;
            self.dispatch.looks += CONFIGURATION.len();
            let glob = Glob::any_case(pattern);
            for (name, value) in CONFIGURATION {
                let literal = pattern.eq_ignore_ascii_case(name.as_bytes());
                if !glob.matches(name.as_bytes()) && !literal {
                    continue;
                }
                // A name that was given as it is comes back as it was given.
                let shown = if literal { pattern } else { name.as_bytes() };
                if found.iter().all(|(known, _)| !known.eq_ignore_ascii_case(shown)) {
                    found.push((shown, value));
                }
            }
        }
        reply::array(self.out, 2 * found.len());
        for (name, value) in found {
            reply::bulk(self.out, name);
            reply::bulk(self.out, value.as_bytes());
        }
        Ok(Flow::Done)
    }

    pub(super) fn commands(&mut self) -> Done {
        reply::array(self.out, NAMED.len());
        NAMED.iter().for_each(|command| table::push_description(self.out, *command));
        Ok(Flow::Done)
    }

    pub(super) fn count_commands(&mut self) -> Done {
        reply::count(self.out, NAMED.len());
        Ok(Flow::Done)
    }

    pub(super) fn describe_commands(&mut self, args: &Args<'_>) -> Done {
        if args.len() == 2 {
            return self.commands();
        }
        reply::array(self.out, args.len() - 2);
        for name in args.from(2) {
            match Command::find(name) {
                Some(command) => table::push_description(self.out, command),
                None => reply::null(self.out),
            }
        }
        Ok(Flow::Done)
    }

    /// COMMAND DOCS: what redis-cli makes its completions of.
    pub(super) fn document_commands(&mut self, args: &Args<'_>) -> Done {
        let asked: Vec<Command> = match args.len() {
            2 => NAMED.to_vec(),
            _ => args.from(2).filter_map(Command::find).collect(),
        };
        reply::array(self.out, 2 * asked.len());
        for command in asked {
            let spec = command.spec();
            reply::bulk(self.out, spec.name.as_bytes());
            reply::array(self.out, 4);
            for text in ["summary", "See docs/redis.md", "group", spec.group] {
                reply::bulk(self.out, text.as_bytes());
            }
        }
        Ok(Flow::Done)
    }

    pub(super) fn client_id(&mut self) -> Done {
        let id = self.dispatch.resp.known(self.client).id;
        self.integer(id)
    }

    pub(super) fn client_name(&mut self) -> Done {
        match &self.dispatch.resp.known(self.client).name {
            name if name.is_empty() => reply::null(self.out),
            name => reply::bulk(self.out, name),
        }
        Ok(Flow::Done)
    }

    pub(super) fn set_client_name(&mut self, name: &[u8]) -> Done {
        self.name(name)?;
        self.ok()
    }

    fn name(&mut self, name: &[u8]) -> Result<(), Failure> {
        if !name.iter().all(u8::is_ascii_graphic) {
            let text = "ERR Client names cannot contain spaces, newlines or special characters.";
            return Err(Failure::Known(text));
        }
        if name.len() > crate::limits::KEY_BYTES_MAX {
            return Err(Failure::Known("ERR the name is too long"));
        }
        self.dispatch.resp.known(self.client).name = name.into();
        Ok(())
    }

    pub(super) fn no_evict(&mut self, args: &Args<'_>) -> Done {
        let word = args.get(2);
        if word.eq_ignore_ascii_case(b"on") || word.eq_ignore_ascii_case(b"off") {
            return self.ok();
        }
        Err(SYNTAX)
    }
}
