//! The conversation with a Redis client: cutting, carrying out, answering.

use super::super::command::Reply;
use super::super::resp::{self, Cut, Flow, Parser, Session};
use super::super::store::too_large;
use super::event_loop::{EventLoop, READ_BYTES};
use super::exchange::encode;
use super::input::Dialect;

/// What a connection of this dialect keeps between requests.
#[derive(Debug, Default)]
pub(super) struct Resp {
    parser: Parser,
    session: Session,
}

impl EventLoop {
    /// Carries out the whole requests in `input` and returns how many bytes they took.
    pub(super) fn carry_out_resp(&mut self, client: usize, input: &[u8]) -> usize {
        let Some(Some(connection)) = self.clients.get_mut(client) else { return 0 };
        // Out of the way for as long as the dispatch and the other clients are needed too.
        let mut resp = connection.resp.take().unwrap_or_else(|| {
            let session = resp::begin(&mut self.dispatch, client);
            Box::new(Resp { parser: Parser::default(), session })
        });
        let mut used = 0;
        let mut text = None;
        while used < input.len() && self.turn > 0 {
            let Some(Some(connection)) = self.clients.get_mut(client) else { break };
            if !connection.takes_requests() {
                break;
            }
            match resp.parser.cut(&input[used..], self.request_bytes_max) {
                Cut::Whole(taken) => {
                    // Once for all requests that came together: many are short.
                    let text: &str = text.get_or_insert_with(|| text_at_start(input));
                    let known = text.get(used..).unwrap_or_default();
                    let args = resp.parser.args(&input[used..], known);
                    let (dispatch, reply) = (&mut self.dispatch, &mut self.reply);
                    let flow = resp::execute(dispatch, client, &mut resp.session, &args, reply);
                    connection.subscribed = resp.session.is_subscribed();
                    connection.waiting = flow == Flow::Waiting;
                    connection.closing |= flow == Flow::Close;
                    used += taken;
                    self.worked(taken);
                    self.deliver(Some(client));
                    if self.reply.len() >= READ_BYTES {
                        self.push_replies(client);
                    }
                }
                Cut::Nothing(taken) => used += taken,
                Cut::TooLarge { taken, bytes } => {
                    used += taken;
                    let error = too_large(bytes, self.value_bytes_max);
                    resp.session.spoil();
                    encode(Dialect::Resp, &Reply::Error(error.to_string()), &mut self.reply);
                }
                Cut::Partial => break,
                Cut::Broken(line) => {
                    self.reply.extend_from_slice(&line);
                    connection.closing = true;
                }
            }
        }
        self.push_replies(client);
        if let Some(Some(connection)) = self.clients.get_mut(client) {
            connection.resp = Some(resp);
        }
        used
    }
}

/// What `input` begins with, as far as that is UTF-8; nothing is looked for in more than is read at
/// a time, since what has not all come would be looked through again and again.
fn text_at_start(input: &[u8]) -> &str {
    if input.len() > READ_BYTES {
        return "";
    }
    match std::str::from_utf8(input) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&input[..error.valid_up_to()]).unwrap_or_default(),
    }
}
