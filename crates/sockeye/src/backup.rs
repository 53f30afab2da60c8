//! `sockeye backup` and `sockeye restore`: the embedded engine's file, copied while the server runs.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use sockeye_engine_sqlite::{backup, restore};
use sockeye_server::{DATA_FILE, KEY_FILE};

use crate::output;

/// Copy the data of a server, running or not, into one file.
///
/// The copy is of one moment, is checked, and appears under its name only when it is whole. What a server keeps in Kafka or
/// PostgreSQL is not in it.
#[derive(Args, Debug)]
pub struct BackupArgs {
    /// The file to be made; it must not be there yet.
    file: PathBuf,
    #[command(flatten)]
    data: DataArgs,
}

/// Put a backup in the place of a server's data; the server must not run.
///
/// The restored log is another incarnation: positions that clients kept from before are recognised and refused.
#[derive(Args, Debug)]
pub struct RestoreArgs {
    /// The file that `sockeye backup` made.
    file: PathBuf,
    /// Replace the data that is there.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    data: DataArgs,
}

#[derive(Args, Debug)]
struct DataArgs {
    /// Data folder of the server.
    #[arg(long, env = "SOCKEYE_DATA", default_value = "sockeye-data", value_name = "FOLDER")]
    data: PathBuf,
}

// ----------------------------------------------------------------------------------------------

pub fn back_up(args: &BackupArgs) -> Result<()> {
    let (progress, source) = (progress(), args.data.file());
    if !source.exists() && args.data.data.join(KEY_FILE).exists() {
        bail!(
            "there is no file {}: this server keeps everything in Kafka and PostgreSQL; back them up with their own tools",
            source.display()
        );
    }
    if !source.exists() {
        bail!(
            "there is no file {}: name the data folder of the server with --data",
            source.display()
        );
    }
    let report = backup(&source, &args.file, |done, total| {
        progress.set_length(total as u64);
        progress.set_position(done as u64);
    })?;
    progress.finish_and_clear();
    output::say(&format!(
        "{}: {} events of {} applications",
        args.file.display(),
        report.records,
        report.topics
    ));
    Ok(())
}

pub fn put_back(args: &RestoreArgs) -> Result<()> {
    std::fs::create_dir_all(&args.data.data)?;
    let target = args.data.file();
    let report = restore(&args.file, &target, args.force)?;
    output::say(&format!(
        "{}: {} events of {} applications",
        target.display(),
        report.records,
        report.topics
    ));
    Ok(())
}

impl DataArgs {
    fn file(&self) -> PathBuf {
        Path::new(&self.data).join(DATA_FILE)
    }
}

fn progress() -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {human_pos} of {human_len} pages, {eta} left");
    ProgressBar::new(0).with_style(style.expect("the template is right"))
}
