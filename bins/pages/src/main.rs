//! Writes the man pages and shell completions of every program under a `share` folder, where man
//! and the shells look for them. Run by the Makefile; not installed.

use anyhow::{Context, Result};
use clap::Command;
use clap_complete::{Shell, generate_to};
use std::fs;
use std::path::{Path, PathBuf};

/// Where each shell looks for completions, below `share`.
const COMPLETIONS: [(Shell, &str); 3] = [
    (Shell::Bash, "bash-completion/completions"),
    (Shell::Zsh, "zsh/site-functions"),
    (Shell::Fish, "fish/vendor_completions.d"),
];

fn main() -> Result<()> {
    let share = std::env::args_os().nth(1).map(PathBuf::from);
    let share = share.context("usage: otto-pages SHARE: name the folder to write to")?;
    let mut programs = otto_tools::cli::all();
    programs.push(otto_runner::cli());
    for program in programs {
        write_pages(program, &share)?;
    }
    Ok(())
}

fn write_pages(mut program: Command, share: &Path) -> Result<()> {
    let name = program.get_name().to_owned();
    for (shell, folder) in COMPLETIONS {
        let folder = made(share.join(folder))?;
        let path = generate_to(shell, &mut program, &name, &folder)
            .with_context(|| format!("write completions of {name} to {}", folder.display()))?;
        if shell == Shell::Bash {
            // bash-completion loads a file by the program's name alone.
            let plain = folder.join(&name);
            fs::rename(&path, &plain).with_context(|| format!("write {}", plain.display()))?;
        }
    }
    let folder = made(share.join("man/man1"))?;
    clap_mangen::generate_to(program, &folder)
        .with_context(|| format!("write man pages of {name} to {}", folder.display()))
}

fn made(folder: PathBuf) -> Result<PathBuf> {
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    Ok(folder)
}
