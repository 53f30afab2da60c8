//! `sockeye serve`: a server until it is told to stop.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use clap::{Args, CommandFactory as _};
use sockeye_server::{Config, Flags, Server, Signal, Signals, Sources, logs};

use crate::{cli::Cli, output};

/// Read if it is there and no other file is named.
const DEFAULT_FILE: &str = "sockeye.toml";
/// Exit code for a configuration that cannot be used, as for a wrong command line.
const WRONG_CONFIGURATION: u8 = 2;

/// Run a server.
///
/// Settings come from flags, environment variables and a TOML file, in this order; `sockeye config` prints the file.
#[derive(Args, Debug)]
pub struct ServeArgs {
    /// Configuration file [default: sockeye.toml, if it is there].
    #[arg(long, env = "SOCKEYE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags,
}

// ----------------------------------------------------------------------------------------------

pub async fn run(args: ServeArgs) -> Result<ExitCode> {
    let config = match Config::read(&sources(args)) {
        Ok(config) => config,
        Err(errors) => {
            output::say(&errors.to_string());
            return Ok(ExitCode::from(WRONG_CONFIGURATION));
        }
    };
    logs::init(&config.log);
    let mut signals = Signals::new().context("cannot receive signals")?;
    let server = Server::start(config).await?;
    output::line(&format!("sockeye listens on {}", server.http_url()))?;
    if let Some(url) = server.metrics_url() {
        output::line(&format!("metrics: {url}"))?;
    }
    if let Some(url) = server.gateway_url() {
        output::line(&format!("gateway of dojot: {url}"))?;
    }
    output::line(&format!("administrator's key: {}", server.admin_key_file().display()))?;
    let at_once = |signal: Signal| std::process::exit(signal.exit_code().into());
    server.run_until(async || signals.next().await, at_once).await;
    Ok(ExitCode::SUCCESS)
}

fn sources(args: ServeArgs) -> Sources {
    let default = || Path::new(DEFAULT_FILE).exists().then(|| PathBuf::from(DEFAULT_FILE));
    let mut other_variables = BTreeSet::new();
    add_variables(&Cli::command(), &mut other_variables);
    Sources {
        file: args.config.or_else(default),
        environment: std::env::vars_os().collect(),
        other_variables,
        flags: args.flags,
    }
}

/// The environment variables of a command and its subcommands.
fn add_variables(command: &clap::Command, variables: &mut BTreeSet<String>) {
    let of_arguments = command
        .get_arguments()
        .filter_map(|argument| argument.get_env()?.to_str());
    variables.extend(of_arguments.map(str::to_owned));
    for command in command.get_subcommands() {
        add_variables(command, variables);
    }
}
