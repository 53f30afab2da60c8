//! `sockeye group dead-letters`: events that failed too often in a group.

use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use futures_util::StreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};

use super::Named;
use crate::{
    client::Client,
    output::{self, Output},
    stream,
};

/// Which dead letters, and what is to become of them; without an action they are listed.
#[derive(Args, Debug)]
pub(super) struct LettersArgs {
    #[command(flatten)]
    group: Named,
    /// Appends these to the events of the application again: all who read it get them.
    #[arg(long, value_name = "LETTER", num_args = 1.., group = "action")]
    resend: Vec<String>,
    /// The same with all of the group.
    #[arg(long, group = "action")]
    resend_all: bool,
    /// Drops these.
    #[arg(long, value_name = "LETTER", num_args = 1.., group = "action")]
    drop: Vec<String>,
    /// Drops all of the group.
    #[arg(long, group = "action")]
    drop_all: bool,
    /// Lists them, and then those that come.
    #[arg(long, group = "action")]
    follow: bool,
}

/// Longest wait for the next letter that comes: until somebody ends the program.
const FOREVER: Duration = Duration::from_hours(100 * 365 * 24);

// ----------------------------------------------------------------------------------------------

pub(super) async fn run(client: &Client, output: Output, args: LettersArgs) -> Result<()> {
    let (action, letters, done) = if args.resend_all || !args.resend.is_empty() {
        ("resend", args.resend, "sent back")
    } else if args.drop_all || !args.drop.is_empty() {
        ("drop", args.drop, "dropped")
    } else {
        return list(client, output, &args.group, args.follow).await;
    };
    let mut body = json!({ "action": action });
    if !letters.is_empty() {
        body["letters"] = json!(letters);
    }
    let call = args.group.call(client, Method::POST, &["dead-letters"]).json(&body);
    // A log of many may take its time.
    let answer = client.json(call.timeout(FOREVER)).await?;
    output::say(&format!("{done}: {}", output::text_at(&answer, "/letters")));
    Ok(())
}

async fn list(client: &Client, output: Output, group: &Named, follow: bool) -> Result<()> {
    let call = group.call(client, Method::GET, &["dead-letters"]);
    let call = call.query(&[("follow", follow)]).timeout(FOREVER);
    let mut body = client.send(call).await?.bytes_stream();
    let mut rest = Vec::new();
    while let Some(part) = body.next().await {
        let part = part.map_err(reqwest::Error::without_url);
        rest.extend_from_slice(&part.context("the answer of the server was cut off")?);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            show(output, std::str::from_utf8(&line)?.trim_end())?;
        }
    }
    Ok(())
}

/// One line for each: its name, what became of it, and the event as `sockeye stream` shows it.
fn show(output: Output, line: &str) -> Result<()> {
    if output == Output::Json {
        return output::line(line);
    }
    let letter: Value = serde_json::from_str(line).context("the answer of the server is not JSON")?;
    output::line(&format!(
        "{}  failed {} times  {}",
        output::text_at(&letter, "/letter"),
        output::text_at(&letter, "/failures"),
        stream::pretty(&letter["event"].to_string())
    ))
}
