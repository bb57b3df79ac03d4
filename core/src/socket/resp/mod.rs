//! RESP2: what Redis's clients speak, on the same path and the same values. No I/O here.
//!
//! The event loop cuts requests with a [`Parser`] and has [`execute`] append the replies. What is
//! delivered later (messages, the end of a blocking pop) comes with its bytes.

mod base64;
mod blocking;
mod channels;
mod encode;
mod figures;
mod glob;
mod keys;
mod lists;
mod long_double;
mod number;
mod parse;
mod pubsub;
mod reply;
mod scan;
mod server_commands;
mod session;
mod set;
mod strings;
mod table;
mod transaction;
mod value;

pub(super) use encode::encode;
pub(super) use parse::{Args, Cut, Parser};
pub(super) use session::{Session, Shared};

use super::dispatch::Dispatch;
use super::store::Value;
use super::waits::ClientId;
use crate::key::check_key;
use crate::limits::FRAME_BYTES_MAX;
use reply::{Failure, WRONG_TYPE};
use table::Command;

/// What a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// Its reply is there.
    Done,
    /// The client waits; its reply is delivered later.
    Waiting,
    /// Its reply is there, and it was the last one.
    Close,
}

/// One command as it is carried out.
struct Call<'c> {
    dispatch: &'c mut Dispatch,
    client: ClientId,
    session: &'c mut Session,
    out: &'c mut Vec<u8>,
    /// Within EXEC nothing waits.
    in_transaction: bool,
}

type Done = Result<Flow, Failure>;

/// Longest reply, in bytes. A single request can name the same large value any number of times.
const REPLY_BYTES_MAX: usize = FRAME_BYTES_MAX;

/// The reply to a blocking pop whose time is over.
pub(super) const TOO_LATE: &[u8] = b"*-1\r\n";

/// Says why a request is not carried out that never became one, which spoils a transaction too.
pub(super) fn refuse(session: &mut Session, what: &str, out: &mut Vec<u8>) {
    session.spoil();
    reply::error(out, format!("ERR {what}").as_bytes());
}

/// What is kept of `client` from its first request in this dialect on.
pub(super) fn begin(dispatch: &mut Dispatch, client: ClientId) -> Session {
    dispatch.resp.known(client);
    Session::default()
}

/// Carries out one request of `client` and appends its reply.
pub(super) fn execute(
    dispatch: &mut Dispatch,
    client: ClientId,
    session: &mut Session,
    args: &Args<'_>,
    out: &mut Vec<u8>,
) -> Flow {
    dispatch.count_request();
    let mut call = Call { dispatch, client, session, out, in_transaction: false };
    let command = match table::look_up(args) {
        Ok(command) => command,
        Err((command, line)) => {
            call.rejected(command, &line);
            return Flow::Done;
        }
    };
    // This one stands outside of everything else, in Redis too.
    if command == Command::Quit {
        reply::ok(call.out);
        return Flow::Close;
    }
    if !call.session.is_plain() && call.held_back(command, args) {
        return Flow::Done;
    }
    call.run(command, args)
}

impl Call<'_> {
    /// Carries out `command`, whatever state the session is in.
    fn run(&mut self, command: Command, args: &Args<'_>) -> Flow {
        if self.dispatch.is_overdue() {
            self.dispatch.expire_named(args.from(1));
        }
        match self.carry_out(command, args) {
            Ok(flow) => flow,
            Err(failure) => {
                reply::error(self.out, failure.text().as_bytes());
                Flow::Done
            }
        }
    }

    fn carry_out(&mut self, command: Command, args: &Args<'_>) -> Done {
        match command {
            Command::Get => self.get(args),
            Command::Set => self.set(args),
            Command::Incr => self.increment(args, 1),
            Command::LPush | Command::RPush => self.push(command, args),
            Command::LPop | Command::RPop => self.pop(command, args),
            Command::MSet => self.set_many(args),
            Command::MGet => self.get_many(args),
            Command::Ping => self.ping(args),
            Command::Echo => self.echo(args),
            Command::Select => self.select(args),
            Command::Commands => self.commands(),
            Command::CountCommands => self.count_commands(),
            Command::DescribeCommands => self.describe_commands(args),
            Command::DocumentCommands => self.document_commands(args),
            Command::ClientId => self.client_id(),
            Command::ClientGetName => self.client_name(),
            Command::ClientSetName => self.set_client_name(args.get(2)),
            Command::ClientInfo => self.client_info(),
            Command::ClientList => self.list_clients(args),
            Command::ClientNoEvict => self.no_evict(args),
            Command::ConfigGet => self.configuration(args),
            Command::Info => self.info(args),
            Command::DbSize => self.size(),
            Command::Reset => self.reset(),
            Command::Hello => self.hello(args),
            Command::GetDel => self.get_and_delete(args),
            Command::SetNx => self.set_if_absent(args),
            Command::SetEx => self.set_for_seconds(args),
            Command::Append => self.append(args),
            Command::StrLen => self.length_of_string(args),
            Command::IncrBy => self.increment_by(args),
            Command::Decr => self.increment(args, -1),
            Command::DecrBy => self.decrement_by(args),
            Command::IncrByFloat => self.increment_by_float(args),
            Command::Del | Command::Unlink => self.delete(args),
            Command::Exists => self.exists(args),
            Command::Type => self.kind(args),
            Command::Keys => self.keys(args),
            Command::Scan => self.scan(args),
            Command::Ttl => self.time_to_live(args, 1000),
            Command::PTtl => self.time_to_live(args, 1),
            Command::Expire => self.expire(command, args, 1000),
            Command::PExpire => self.expire(command, args, 1),
            Command::Persist => self.persist(args),
            Command::Rename => self.rename(args),
            Command::FlushAll => self.flush_all(args),
            Command::BLPop | Command::BRPop => self.blocking_pop(command, args),
            Command::LLen => self.length_of_list(args),
            Command::LRange => self.range(args),
            Command::LIndex => self.element(args),
            Command::Subscribe => self.subscribe(args),
            Command::PSubscribe => self.subscribe_patterns(args),
            Command::Unsubscribe => self.unsubscribe(args),
            Command::PUnsubscribe => self.unsubscribe_patterns(args),
            Command::Publish => self.publish(args),
            Command::Multi => self.begin(),
            Command::Exec => self.exec(),
            Command::Discard => self.discard(),
            // The parts of these are commands of their own, the name alone has too few arguments.
            Command::Client | Command::Config | Command::Quit => Err(table::wrong_arity(command)),
        }
    }

    fn integer(&mut self, number: i64) -> Done {
        reply::integer(self.out, number);
        Ok(Flow::Done)
    }

    fn ok(&mut self) -> Done {
        reply::ok(self.out);
        Ok(Flow::Done)
    }

    /// Counts a value of so many bytes that was looked through against this client's turn.
    fn looked_at(&mut self, bytes: usize) {
        self.dispatch.looks += bytes / 32;
    }

    /// Refuses a reply that has grown beyond its limit since `start`, and takes it back.
    fn check_reply(&mut self, start: usize) -> Result<(), Failure> {
        if self.out.len() - start <= REPLY_BYTES_MAX {
            return Ok(());
        }
        self.out.truncate(start);
        Err(Failure::Text(format!(
            "ERR the reply takes more than {REPLY_BYTES_MAX} bytes: ask for less at once"
        )))
    }
}

/// The key that an argument names.
#[inline]
fn key(arg: &[u8]) -> Result<&str, Failure> {
    let Ok(key) = std::str::from_utf8(arg) else { return Err(not_utf8("key")) };
    checked_key(key)
}

/// The key that the argument at `index` names.
#[inline]
fn key_at<'a>(args: &Args<'a>, index: usize) -> Result<&'a str, Failure> {
    match args.text(index) {
        Some(text) => checked_key(text),
        None => key(args.get(index)),
    }
}

#[inline]
fn checked_key(key: &str) -> Result<&str, Failure> {
    match check_key(key) {
        Ok(()) => Ok(key),
        Err(error) => Err(Failure::Text(format!("ERR invalid key: {error}"))),
    }
}

#[cold]
fn not_utf8(what: &str) -> Failure {
    Failure::Text(format!("ERR invalid {what}: it is not UTF-8"))
}

/// The JSON text of a value that is no list.
#[inline]
fn no_list(value: Value<'_>) -> Result<&str, Failure> {
    match value {
        Value::Text(text) if !text.starts_with('[') => Ok(text),
        _ => Err(WRONG_TYPE),
    }
}
