//! `sockeye command`: what devices are told to do.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use reqwest::{
    Method,
    header::{CONTENT_TYPE, LOCATION},
};
use serde_json::{json, value::RawValue};
use sockeye_policy::units;

use crate::{
    client::{Client, ServerArgs},
    output::{self, Output},
};

/// Send commands to devices, and see what has become of them.
#[derive(Args, Debug)]
pub struct CommandArgs {
    #[command(subcommand)]
    action: CommandAction,
    #[command(flatten)]
    server: ServerArgs,
    /// Form of what is printed [default: pretty on a terminal, json in a pipe].
    #[arg(long, short, global = true, value_name = "FORM")]
    output: Option<Output>,
}

#[derive(Debug, Subcommand)]
enum CommandAction {
    /// Sends a command: it is kept until the device fetches it, or its time is over.
    Send(Sent),
    /// Shows what has become of a command: `waiting`, `delivered` or `expired`.
    State {
        /// Name of the application.
        app: String,
        /// Its id, as `sockeye command send` says it.
        id: String,
    },
}

/// A command as it is sent.
#[derive(Args, Debug)]
struct Sent {
    /// Name of the application.
    app: String,
    /// Name of the device.
    device: String,
    /// Name of the command.
    command: String,
    /// What the device needs to know, if it needs to.
    payload: Option<String>,
    /// File with the payload.
    #[arg(long, value_name = "FILE", conflicts_with = "payload")]
    file: Option<PathBuf>,
    /// Media type of the payload [default: JSON if it is JSON].
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// How long it waits for the device, such as `10m` [default: as the server has it].
    #[arg(long, value_name = "TIME", value_parser = time)]
    ttl: Option<Duration>,
}

const COMMANDS: [&str; 4] = ["api", "command", "v1alpha1", "apps"];

// ----------------------------------------------------------------------------------------------

pub async fn run(args: CommandArgs) -> Result<()> {
    let client = args.server.client()?;
    let output = Output::or_by_terminal(args.output);
    match args.action {
        CommandAction::Send(sent) => {
            let id = send(&client, &sent).await?;
            let Sent { command, device, .. } = sent;
            match output {
                Output::Json => output::document(output, &json!({ "id": id })),
                Output::Pretty => output::line(&format!("command {command} for device {device}: {id}")),
            }
        }
        CommandAction::State { app, id } => {
            let path = [&COMMANDS[..], &[&app, "commands", &id]].concat();
            let found = client.json(client.call(Method::GET, &path)).await?;
            output::document(output, &found)
        }
    }
}

/// Sends it, and gives its id.
async fn send(client: &Client, sent: &Sent) -> Result<String> {
    let payload = match (&sent.payload, &sent.file) {
        (Some(text), _) => text.clone().into_bytes(),
        (None, Some(file)) => std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?,
        (None, None) => Vec::new(),
    };
    let is_json = || serde_json::from_slice::<&RawValue>(&payload).is_ok();
    let content_type = match &sent.content_type {
        Some(declared) => Some(declared.as_str()),
        None => is_json().then_some("application/json"),
    };
    let path = [&COMMANDS[..], &[&sent.app, "devices", &sent.device]].concat();
    let mut call = client
        .call(Method::POST, &path)
        .query(&[("command", &sent.command)])
        .body(payload);
    if let Some(time) = sent.ttl {
        call = call.query(&[("ttl", time.as_secs())]);
    }
    if let Some(content_type) = content_type {
        call = call.header(CONTENT_TYPE, content_type);
    }
    let answer = client.send(call).await?;
    let place = answer.headers().get(LOCATION).and_then(|place| place.to_str().ok());
    let id = place.and_then(|place| place.rsplit('/').next());
    let id = id.context("the server does not say which command this is: is --url a Sockeye server?")?;
    Ok(id.to_owned())
}

fn time(text: &str) -> Result<Duration, String> {
    units::duration(text).ok_or_else(|| "give a duration such as `90s` or `10m`".to_owned())
}
