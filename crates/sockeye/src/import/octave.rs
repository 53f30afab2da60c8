//! `sockeye import octave`: what clients carry in their code.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use reqwest::Method;
use serde_json::{Map, Value};

use crate::{
    client::{Client, ServerArgs},
    output,
};

/// Tokens, ids of streams and names of a company of Octave, which clients carry in their code.
///
/// The file has a JSON object on each line: {"alias":"Acme_Pumps"}, {"stream":{"id":"s..","path":"/acme/devices/pump7/pressure"}},
/// {"token":{"value":"..","user":"me"}}, or with "paths" a restricted token: {"token":{"value":"..","paths":{"/acme/devices":{"eventRead":true}}}}.
#[derive(Args, Debug)]
pub struct OctaveArgs {
    /// The file.
    file: PathBuf,
    /// The application that the company is from now on.
    #[arg(long, value_name = "NAME")]
    application: String,
}

// ----------------------------------------------------------------------------------------------

pub async fn run(server: &ServerArgs, args: OctaveArgs) -> Result<()> {
    let client = server.client()?;
    let Some(login) = server.login()? else {
        bail!("to import needs an access key: give --key or --key-file");
    };
    let OctaveArgs { file, application } = args;
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut lines = 0;
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let place = || format!("{}:{}", file.display(), at + 1);
        if let Err(error) = serde_json::from_str::<Map<String, Value>>(line) {
            bail!("{}: each line must be a JSON object: {error}", place());
        }
        import(&client, &login.user, &login.key, &application, line)
            .await
            .with_context(place)?;
        lines += 1;
    }
    output::say(&format!("imported {lines} lines into application {application}"));
    Ok(())
}

async fn import(client: &Client, user: &str, key: &str, application: &str, line: &str) -> Result<()> {
    let call = client
        .bare(Method::POST, &["v5.0", application, "import"])
        .header("X-Auth-User", user)
        .header("X-Auth-Token", key)
        .body(line.to_owned());
    let response = call.send().await.map_err(reqwest::Error::without_url);
    let response = response.context("no answer from the server")?;
    if response.status().is_success() {
        return Ok(());
    }
    let answer: Value = response.json().await.context("the answer of the server is not JSON")?;
    bail!("{}", output::text_at(&answer, "/head/errors/0"))
}
