//! `merge`: several streams into one, by whole lines.

use super::ends::{Otherwise, Output, Waiting};
use super::meter::Meter;
use super::relayed::{Copiers, pass_on};
use super::site::Site;
use crate::Done;
use crate::cli::{Given, deadline};
use clap::ArgMatches;
use otto_core::fifo::{self, Relay};
use otto_core::{Error, ErrorKind};
use std::sync::mpsc;

pub(super) fn run(arguments: &ArgMatches) -> Done {
    let (site, deadline) = (Site::here(), deadline(arguments)?);
    // All are opened before any is waited for: their writers may come in any order.
    let mut waiting = Vec::new();
    for given in arguments.get_many::<String>("FROM").into_iter().flatten() {
        waiting.push(Waiting::open(&site, Some(given), Otherwise::Standard)?);
    }
    let to = Output::open(&site, arguments.given("to"), Otherwise::OwnOrStandard, deadline)?;
    let label =
        waiting.iter().map(Waiting::label).collect::<Vec<_>>().join(" + ") + " -> " + &to.label;
    let (mut relay, mut copiers) = (Relay::new(), Copiers::default());
    let sink = relay.sink(copiers.sink(&to)?)?;
    let meter = Meter::start(arguments, &label, None, [&to.fd], Some(relay.control()?));
    let (ended, ends) = mpsc::channel();
    for from in waiting {
        let pipe = fifo::pipe()?;
        let source = relay.source(pipe.read)?;
        relay.connect(source, sink);
        let ended = ended.clone();
        // Each waits for its writer by itself, so that none waits for another's.
        copiers.feed(move || {
            let failed = |error: anyhow::Error| match error.downcast::<Error>() {
                Ok(error) => error,
                Err(error) => Error::new(ErrorKind::Io, error.to_string()),
            };
            let from = from.wait(deadline).map_err(failed)?;
            fifo::copy(&from.fd, pipe.write)?;
            let _ = ended.send(from);
            Ok(())
        })?;
    }
    drop(ended);
    let gone = to.gone();
    // What is left of it would keep its reader from the end.
    drop(to);
    let passed = pass_on(relay, 1, copiers)?;
    let bytes = meter.bytes();
    drop(meter);
    for from in ends.try_iter() {
        from.check_end()?;
    }
    if !passed.gone.is_empty() {
        gone.after(bytes)?;
    }
    Ok(u8::from(passed.failed > 0))
}
