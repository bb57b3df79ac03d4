//! `read`: a stream to standard output.

use super::ends::{Input, Otherwise, Output};
use super::lines::{Checked, Lines};
use super::meter::Meter;
use super::site::Site;
use super::usage;
use crate::Done;
use crate::cli::{Given, deadline, number};
use clap::ArgMatches;
use otto_core::fifo::{self, Copied};

pub(super) fn run(arguments: &ArgMatches) -> Done {
    let count = arguments.given("count").map(|text| number::<u64>("--count", text)).transpose()?;
    if count == Some(0) {
        return Err(usage("--count takes a number from 1 on, not 0"));
    }
    let (site, deadline) = (Site::here(), deadline(arguments)?);
    let from = Input::open(&site, arguments.given("STREAM"), Otherwise::Own, deadline)?;
    let to = Output::open(&site, Some("-"), Otherwise::Standard, deadline)?;
    let meter = Meter::start(arguments, &from.label, from.total(), [&from.fd, &to.fd], None);
    let json = arguments.get_flag("json");
    if json || count.is_some() || arguments.get_flag("lines") {
        let checked = if json { Checked::Json } else { Checked::Nothing };
        if Lines::new(&from.fd, &to.fd, checked, count).pass_on(&meter)? {
            from.check_end()?;
        }
    } else {
        fifo::enlarge(&to.fd);
        let copied = fifo::copy_counting(&from.fd, &to.fd, |bytes| meter.add(bytes))?;
        if let Copied::All(_) = copied {
            from.check_end()?;
        }
    }
    Ok(0)
}
