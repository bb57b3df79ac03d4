//! The commands of Redis that map onto the store: names, arity, and what COMMAND says of them.

use super::parse::Args;
use super::reply::{self, Failure};

/// One command, as Redis 7.0 describes it.
#[derive(Debug)]
pub(super) struct Spec {
    pub(super) name: &'static str,
    /// Arguments with the name itself; negative: at least so many.
    pub(super) arity: i8,
    /// The first and the last key among the arguments, and the steps between them.
    pub(super) keys: (i8, i8, i8),
    pub(super) flags: &'static str,
    pub(super) group: &'static str,
}

/// A name in two words, in capitals; names above their size are none of ours.
type Word = (u64, u64);

/// A name's bytes side by side, the last ones in front, and its length in the second word, so that
/// a zero byte is no end.
const fn word(name: &[u8]) -> Word {
    let (mut first, mut second, mut at) = (0, name.len() as u64, name.len());
    while at > 8 {
        at -= 1;
        second = second << 8 | name[at] as u64;
    }
    while at > 0 {
        at -= 1;
        first = first << 8 | name[at] as u64;
    }
    (capitals(first), capitals(second))
}

/// Eight ASCII letters as capitals at once; every other byte stays as it is.
const fn capitals(word: u64) -> u64 {
    const fn each(byte: u8) -> u64 {
        u64::from_ne_bytes([byte; 8])
    }
    let low = word & each(0x7F);
    let from_a = low + each(0x80 - b'a');
    let beyond_z = low + each(0x7F - b'z');
    let letters = (from_a ^ beyond_z) & !word & each(0x80);
    word - (letters >> 2)
}

macro_rules! commands {
    ($($variant:ident $name:literal $arity:literal $keys:tt $flags:literal $group:literal;)*
     ; parts: $($part:ident $of:ident $part_name:literal $part_full:literal $part_arity:literal;)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Command { $($variant,)* $($part,)* }

        /// In the order of the variants.
        static SPECS: &[Spec] = &[
            $(Spec { name: $name, arity: $arity, keys: $keys, flags: $flags, group: $group },)*
            $(Spec { name: $part_full, arity: $part_arity, keys: (0, 0, 0), flags: "", group: "" },)*
        ];

        /// The commands without those that are parts of others.
        pub(super) const NAMED: &[Command] = &[$(Command::$variant,)*];

        #[expect(non_upper_case_globals, reason = "named as the variants they stand for")]
        mod words {
            $(pub(super) const $variant: super::Word = super::word($name.as_bytes());)*
            $(pub(super) const $part: super::Word = super::word($part_name.as_bytes());)*
        }

        #[inline]
        fn named(word: Word) -> Option<Command> {
            match word {
                $(words::$variant => Some(Command::$variant),)*
                _ => None,
            }
        }

        fn part(of: Command, word: Word) -> Option<Command> {
            match (of, word) {
                $((Command::$of, words::$part) => Some(Command::$part),)*
                _ => None,
            }
        }
    };
}

commands! {
    Ping "ping" -1 (0, 0, 0) "fast" "connection";
    Echo "echo" 2 (0, 0, 0) "loading stale fast" "connection";
    Select "select" 2 (0, 0, 0) "loading stale fast" "connection";
    Client "client" -2 (0, 0, 0) "" "connection";
    Commands "command" -1 (0, 0, 0) "loading stale" "server";
    Config "config" -2 (0, 0, 0) "" "server";
    Info "info" -1 (0, 0, 0) "loading stale" "server";
    DbSize "dbsize" 1 (0, 0, 0) "readonly fast" "server";
    Quit "quit" -1 (0, 0, 0) "noscript loading stale fast no_auth allow_busy" "connection";
    Reset "reset" 1 (0, 0, 0) "noscript loading stale fast no_auth allow_busy" "connection";
    Hello "hello" -1 (0, 0, 0) "noscript loading stale fast no_auth allow_busy" "connection";
    Set "set" -3 (1, 1, 1) "write denyoom" "string";
    Get "get" 2 (1, 1, 1) "readonly fast" "string";
    GetDel "getdel" 2 (1, 1, 1) "write fast" "string";
    SetNx "setnx" 3 (1, 1, 1) "write denyoom fast" "string";
    SetEx "setex" 4 (1, 1, 1) "write denyoom" "string";
    MGet "mget" -2 (1, -1, 1) "readonly fast" "string";
    MSet "mset" -3 (1, -1, 2) "write denyoom" "string";
    Append "append" 3 (1, 1, 1) "write denyoom fast" "string";
    StrLen "strlen" 2 (1, 1, 1) "readonly fast" "string";
    Incr "incr" 2 (1, 1, 1) "write denyoom fast" "string";
    IncrBy "incrby" 3 (1, 1, 1) "write denyoom fast" "string";
    Decr "decr" 2 (1, 1, 1) "write denyoom fast" "string";
    DecrBy "decrby" 3 (1, 1, 1) "write denyoom fast" "string";
    IncrByFloat "incrbyfloat" 3 (1, 1, 1) "write denyoom fast" "string";
    Del "del" -2 (1, -1, 1) "write" "generic";
    Unlink "unlink" -2 (1, -1, 1) "write fast" "generic";
    Exists "exists" -2 (1, -1, 1) "readonly fast" "generic";
    Type "type" 2 (1, 1, 1) "readonly fast" "generic";
    Keys "keys" 2 (0, 0, 0) "readonly" "generic";
    Scan "scan" -2 (0, 0, 0) "readonly" "generic";
    Ttl "ttl" 2 (1, 1, 1) "readonly fast" "generic";
    PTtl "pttl" 2 (1, 1, 1) "readonly fast" "generic";
    Expire "expire" -3 (1, 1, 1) "write fast" "generic";
    PExpire "pexpire" -3 (1, 1, 1) "write fast" "generic";
    Persist "persist" 2 (1, 1, 1) "write fast" "generic";
    Rename "rename" 3 (1, 2, 1) "write" "generic";
    FlushAll "flushall" -1 (0, 0, 0) "write" "server";
    LPush "lpush" -3 (1, 1, 1) "write denyoom fast" "list";
    RPush "rpush" -3 (1, 1, 1) "write denyoom fast" "list";
    LPop "lpop" -2 (1, 1, 1) "write fast" "list";
    RPop "rpop" -2 (1, 1, 1) "write fast" "list";
    BLPop "blpop" -3 (1, -2, 1) "write noscript blocking" "list";
    BRPop "brpop" -3 (1, -2, 1) "write noscript blocking" "list";
    LLen "llen" 2 (1, 1, 1) "readonly fast" "list";
    LRange "lrange" 4 (1, 1, 1) "readonly" "list";
    LIndex "lindex" 3 (1, 1, 1) "readonly" "list";
    Subscribe "subscribe" -2 (0, 0, 0) "pubsub noscript loading stale" "pubsub";
    PSubscribe "psubscribe" -2 (0, 0, 0) "pubsub noscript loading stale" "pubsub";
    Unsubscribe "unsubscribe" -1 (0, 0, 0) "pubsub noscript loading stale" "pubsub";
    PUnsubscribe "punsubscribe" -1 (0, 0, 0) "pubsub noscript loading stale" "pubsub";
    Publish "publish" 3 (0, 0, 0) "pubsub loading stale fast" "pubsub";
    Multi "multi" 1 (0, 0, 0) "noscript loading stale fast allow_busy" "transactions";
    Exec "exec" 1 (0, 0, 0) "noscript loading stale skip_slowlog" "transactions";
    Discard "discard" 1 (0, 0, 0) "noscript loading stale fast allow_busy" "transactions";
; parts:
    ClientId Client "id" "client|id" 2;
    ClientGetName Client "getname" "client|getname" 2;
    ClientSetName Client "setname" "client|setname" 3;
    ClientInfo Client "info" "client|info" 2;
    ClientList Client "list" "client|list" -2;
    ClientNoEvict Client "no-evict" "client|no-evict" 3;
    ConfigGet Config "get" "config|get" -3;
    CountCommands Commands "count" "command|count" 2;
    DescribeCommands Commands "info" "command|info" -2;
    DocumentCommands Commands "docs" "command|docs" -2;
}

impl Command {
    #[inline]
    pub(super) fn spec(self) -> &'static Spec {
        &SPECS[self as usize]
    }

    /// The command of this name, in any case.
    #[inline]
    pub(super) fn find(name: &[u8]) -> Option<Command> {
        named(short(name)?)
    }

    /// Whether it stands for nothing without the name of a part, as in `CLIENT ID`.
    fn has_parts(self) -> bool {
        matches!(self, Command::Client | Command::Config | Command::Commands)
    }
}

/// Longest name, in bytes, that fits with its length.
const NAME_BYTES_MAX: usize = 15;

#[inline]
fn short(name: &[u8]) -> Option<Word> {
    (name.len() <= NAME_BYTES_MAX).then(|| word(name))
}

/// The command that `args` ask for, with as many arguments as it takes.
///
/// # Errors
/// The reply's line, with the command where that is known.
#[inline]
pub(super) fn look_up(args: &Args<'_>) -> Result<Command, (Option<Command>, Vec<u8>)> {
    let Some(mut command) = Command::find(args.get(0)) else { return Err((None, unknown(args))) };
    if command.has_parts() && args.len() > 1 {
        command = match short(args.get(1)).and_then(|word| part(command, word)) {
            Some(part) => part,
            None => return Err((None, unknown_part(command, args.get(1)))),
        };
    }
    let (count, arity) = (args.len(), command.spec().arity);
    let wanted = usize::from(arity.unsigned_abs());
    if count == wanted || (arity < 0 && count > wanted) {
        return Ok(command);
    }
    Err((Some(command), wrong_arity(command).text().into()))
}

#[cold]
pub(super) fn wrong_arity(command: Command) -> Failure {
    let name = command.spec().name;
    Failure::Text(format!("ERR wrong number of arguments for '{name}' command"))
}

/// What Redis shows of a text at most, in bytes.
const SHOWN_BYTES_MAX: usize = 128;

/// The beginning of `text`, up to a zero byte.
fn shown(text: &[u8], bytes_max: usize) -> &[u8] {
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    &text[..text.len().min(bytes_max)]
}

#[cold]
fn unknown(args: &Args<'_>) -> Vec<u8> {
    let mut line = b"ERR unknown command '".to_vec();
    line.extend_from_slice(shown(args.get(0), SHOWN_BYTES_MAX));
    line.extend_from_slice(b"', with args beginning with: ");
    let mut said = Vec::new();
    for arg in args.from(1) {
        if said.len() >= SHOWN_BYTES_MAX {
            break;
        }
        let room = SHOWN_BYTES_MAX - said.len();
        said.push(b'\'');
        said.extend_from_slice(shown(arg, room));
        said.extend_from_slice(b"' ");
    }
    line.extend_from_slice(&said);
    line
}

#[cold]
fn unknown_part(command: Command, part: &[u8]) -> Vec<u8> {
    let mut line = b"ERR unknown subcommand '".to_vec();
    line.extend_from_slice(shown(part, SHOWN_BYTES_MAX));
    line.extend_from_slice(b"'. Try ");
    line.extend_from_slice(command.spec().name.to_ascii_uppercase().as_bytes());
    line.extend_from_slice(b" HELP.");
    line
}

/// COMMAND's description of one command.
pub(super) fn push_description(out: &mut Vec<u8>, command: Command) {
    let spec = command.spec();
    reply::array(out, 10);
    reply::bulk(out, spec.name.as_bytes());
    reply::integer(out, spec.arity.into());
    let flags = spec.flags.split_ascii_whitespace();
    reply::array(out, flags.clone().count());
    for flag in flags {
        reply::simple(out, flag);
    }
    let (first, last, step) = spec.keys;
    for number in [first, last, step] {
        reply::integer(out, number.into());
    }
    // Access categories, tips, places of keys and parts: nobody here asks for them.
    for _ in 0..4 {
        reply::array(out, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(words: &[&str]) -> Result<Command, String> {
        let (mut input, mut spans) = (Vec::new(), Vec::new());
        for word in words {
            let from = input.len() as u32;
            input.extend_from_slice(word.as_bytes());
            spans.push((from, input.len() as u32));
        }
        let found = look_up(&Args::new(&input, &spans));
        found.map_err(|(_, line)| String::from_utf8(line).unwrap())
    }

    #[test]
    fn every_command_is_found_by_its_name_alone() {
        for command in NAMED {
            let name = command.spec().name;
            assert_eq!(Command::find(name.as_bytes()), Some(*command));
            assert_eq!(Command::find(name.to_ascii_uppercase().as_bytes()), Some(*command));
            assert_eq!(Command::find(format!("{name}\0").as_bytes()), None);
            assert_eq!(Command::find(&name.as_bytes()[..name.len() - 1]), None, "{name}");
        }
        assert_eq!(Command::find(b"client|id"), None);
        assert_eq!(asked(&["cLient", "iD"]), Ok(Command::ClientId));
        assert_eq!(asked(&["COMMAND"]), Ok(Command::Commands));
        assert_eq!(NAMED.len() + 10, SPECS.len());
    }

    /// As redis-server 7.0.15 says it.
    #[test]
    fn what_is_not_there_is_said() {
        let long = "a".repeat(130);
        for (words, says) in [
            (
                &["foo", "x\r\ny", "a\0b"][..],
                "ERR unknown command 'foo', with args beginning with: 'x\r\ny' 'a' ",
            ),
            (&["", "a"], "ERR unknown command '', with args beginning with: 'a' "),
            (&["client", "foo"], "ERR unknown subcommand 'foo'. Try CLIENT HELP."),
            (&["CLIENT"], "ERR wrong number of arguments for 'client' command"),
            (&["client", "id", "x"], "ERR wrong number of arguments for 'client|id' command"),
            (&["GET"], "ERR wrong number of arguments for 'get' command"),
            (&["set", "a"], "ERR wrong number of arguments for 'set' command"),
            (&["multi", "a"], "ERR wrong number of arguments for 'multi' command"),
        ] {
            assert_eq!(asked(words).unwrap_err(), says);
        }
        let says = asked(&["foo", &long, "x"]).unwrap_err();
        assert_eq!(
            says,
            format!("ERR unknown command 'foo', with args beginning with: '{}' ", &long[..128])
        );
    }
}
