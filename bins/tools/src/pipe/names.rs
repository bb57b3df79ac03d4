//! `create`, `path`, `remove` and `list`.

use super::site::Site;
use crate::cli::Given;
use crate::{Done, print};
use clap::ArgMatches;
use otto_core::{Error, ErrorKind, Json, fifo};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub(super) fn create(arguments: &ArgMatches) -> Done {
    let name = arguments.text("NAME");
    let site = Site::here();
    site.path(name)?;
    print_path(&fifo::create(&site.folder()?, name)?)
}

pub(super) fn path(arguments: &ArgMatches) -> Done {
    let name = arguments.text("NAME");
    let path = Site::here().path(name)?;
    if !path.exists() {
        let message = format!("no such stream: {name}; make it with: otto-pipe create {name}");
        return Err(Error::new(ErrorKind::NotFound, message).into());
    }
    print_path(&path)
}

pub(super) fn remove(arguments: &ArgMatches) -> Done {
    let name = arguments.text("NAME");
    let site = Site::here();
    site.path(name)?;
    fifo::remove(&site.folder()?, name)?;
    Ok(0)
}

pub(super) fn list(arguments: &ArgMatches) -> Done {
    let folder = Site::named(arguments).folder()?;
    let names = fifo::list(&folder)?;
    let mut out = String::new();
    if arguments.get_flag("json") {
        let objects: Vec<String> = names.iter().map(|name| object(&folder, name)).collect();
        out = format!("[{}]\n", objects.join(","));
    } else {
        names.iter().for_each(|name| out += &format!("{name}\n"));
    }
    print(out.as_bytes())?;
    Ok(0)
}

fn object(folder: &Path, name: &str) -> String {
    let path = folder.join(format!("{name}.fifo"));
    format!("{{\"name\":\"{name}\",\"path\":{}}}", Json::string(&path.to_string_lossy()))
}

fn print_path(path: &Path) -> Done {
    let mut line = path.as_os_str().as_bytes().to_vec();
    line.push(b'\n');
    print(&line)?;
    Ok(0)
}
