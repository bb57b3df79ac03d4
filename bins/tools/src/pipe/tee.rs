//! `tee`: one stream to several.

use super::ends::{Input, Otherwise, Output};
use super::meter::Meter;
use super::relayed::{Copiers, pass_on};
use super::site::Site;
use crate::Done;
use crate::cli::{Given, deadline};
use clap::ArgMatches;
use otto_core::fifo::Relay;
use otto_core::{Error, ErrorKind};

pub(super) fn run(arguments: &ArgMatches) -> Done {
    let (site, deadline) = (Site::here(), deadline(arguments)?);
    let given: Vec<&str> =
        arguments.get_many::<String>("TO").into_iter().flatten().map(String::as_str).collect();
    let outputs = Output::open_all(&site, &given, deadline)?;
    let from = Input::open(&site, arguments.given("from"), Otherwise::Standard, deadline)?;
    let (mut relay, mut copiers) = (Relay::new(), Copiers::default());
    let source = relay.source(copiers.source(&from)?)?;
    let mut sinks = Vec::new();
    for output in &outputs {
        let sink = relay.sink(copiers.sink(output)?)?;
        relay.connect(source, sink);
        sinks.push(sink);
    }
    let ends = outputs.iter().map(|output| &output.fd).chain([&from.fd]);
    let counted = Some(relay.control()?);
    let meter = Meter::start(arguments, &from.label, from.total(), ends, counted);
    let all_standard = outputs.iter().all(|output| output.standard);
    // What is left of them would keep their readers from the end.
    drop(outputs);
    let passed = pass_on(relay, sinks.len(), copiers)?;
    drop(meter);
    from.check_end()?;
    if !all_standard && sinks.iter().all(|sink| passed.gone.contains(sink)) {
        return Err(Error::new(ErrorKind::Io, "all readers have gone; the rest is lost").into());
    }
    Ok(u8::from(passed.failed > 0))
}
