//! `sockeye completions` and `sockeye man`: made from the definition of the command line.

use std::path::Path;

use anyhow::{Context as _, Result};
use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::{cli::Cli, output};

// ----------------------------------------------------------------------------------------------

/// Prints completions for a shell.
pub fn completions(shell: Shell) -> Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "sockeye", &mut text);
    output::line(String::from_utf8_lossy(&text).trim_end())
}

/// Writes a manual page for each command: `sockeye.1`, `sockeye-serve.1`, ...
pub fn pages(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), folder))
        .with_context(|| format!("cannot write manual pages into {}", folder.display()))
}
