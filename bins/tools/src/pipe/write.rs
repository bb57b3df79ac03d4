//! `write`: standard input to a stream.

use super::ends::{Input, Otherwise, Output};
use super::meter::Meter;
use super::site::Site;
use crate::Done;
use crate::cli::{Given, deadline};
use clap::ArgMatches;
use otto_core::fifo::{self, Copied};

pub(super) fn run(arguments: &ArgMatches) -> Done {
    let (site, deadline) = (Site::here(), deadline(arguments)?);
    let to = Output::open(&site, arguments.given("STREAM"), Otherwise::Own, deadline)?;
    let from = Input::open(&site, Some("-"), Otherwise::Standard, deadline)?;
    fifo::enlarge(&from.fd);
    fifo::enlarge(&to.fd);
    let meter = Meter::start(arguments, &to.label, from.total(), [&from.fd, &to.fd], None);
    match fifo::copy_counting(&from.fd, &to.fd, |bytes| meter.add(bytes))? {
        Copied::All(_) => from.check_end()?,
        Copied::ReaderGone(bytes) => to.reader_gone(bytes)?,
    }
    Ok(0)
}
