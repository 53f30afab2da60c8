//! `sockeye import`: what other systems have.

mod drogue;
mod keycloak;
mod octave;
mod source;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::client::ServerArgs;

/// Take over what another system has, so that its users go on.
#[derive(Args, Debug)]
pub struct ImportArgs {
    #[command(subcommand)]
    from: From,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Subcommand)]
enum From {
    Drogue(drogue::DrogueArgs),
    Octave(octave::OctaveArgs),
}

// ----------------------------------------------------------------------------------------------

pub async fn run(args: ImportArgs) -> Result<()> {
    match args.from {
        From::Drogue(from) => drogue::run(&args.server, from).await,
        From::Octave(from) => octave::run(&args.server, from).await,
    }
}
