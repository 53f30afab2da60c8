//! The command line: one definition for flags, `--help`, completions and man pages.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use clap_complete::Shell;

use crate::{
    app::{self, AppArgs},
    backup::{self, BackupArgs, RestoreArgs},
    bench::{self, BenchArgs},
    command::{self, CommandArgs},
    demo::{self, DemoArgs},
    device::{self, DeviceArgs},
    filter::{self, FilterArgs},
    group::{self, GroupArgs},
    import::{self, ImportArgs},
    key::{self, KeyArgs},
    manual,
    member::{self, MemberArgs},
    publish::{self, PublishArgs},
    serve::{self, ServeArgs},
    stream::{self, StreamArgs},
    user::{self, UserArgs},
    value,
};

/// Durable device events over WebSockets.
///
/// Devices publish over HTTP; every event is on disk before it is acknowledged; applications stream the events live over
/// a WebSocket. `sockeye demo` shows it with this very machine as the devices.
#[derive(Debug, Parser)]
#[command(name = "sockeye", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(DemoArgs),
    Serve(ServeArgs),
    /// Print the documented configuration file.
    Config,
    Stream(StreamArgs),
    Publish(PublishArgs),
    Filter(FilterArgs),
    App(AppArgs),
    Device(DeviceArgs),
    Member(MemberArgs),
    #[command(name = "command")]
    Order(CommandArgs),
    Group(GroupArgs),
    Key(KeyArgs),
    Import(ImportArgs),
    User(UserArgs),
    Backup(BackupArgs),
    Restore(RestoreArgs),
    Bench(BenchArgs),
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Write the manual pages into a folder.
    Man {
        /// The folder; it is made if it is not there.
        folder: PathBuf,
    },
}

// ----------------------------------------------------------------------------------------------

impl Cli {
    /// What was asked for; whoever asks for what cannot be, or for help, gets that, and the program ends.
    pub fn read() -> Self {
        let matches = value::check(Self::command()).get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    /// Does what was asked for.
    pub async fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Serve(args) => return serve::run(args).await,
            Command::Filter(args) => return filter::run(&args),
            Command::Demo(args) => demo::run(args).await,
            Command::Config => crate::config::run(),
            Command::Stream(args) => stream::run(args).await,
            Command::Publish(args) => publish::run(args).await,
            Command::App(args) => app::run(args).await,
            Command::Device(args) => device::run(args).await,
            Command::Order(args) => command::run(args).await,
            Command::Member(args) => member::run(args).await,
            Command::Group(args) => group::run(args).await,
            Command::Key(args) => key::run(args).await,
            Command::Import(args) => import::run(args).await,
            Command::User(args) => user::run(args).await,
            Command::Backup(args) => backup::back_up(&args),
            Command::Restore(args) => backup::put_back(&args),
            Command::Bench(args) => bench::run(args).await,
            Command::Completions { shell } => manual::completions(shell),
            Command::Man { folder } => manual::pages(&folder),
        }?;
        Ok(ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        value::check(Cli::command()).debug_assert();
    }
}
