//! `sockeye publish`: events of a device, from arguments, lines or files.

use std::{
    io::{BufRead, IsTerminal as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::{Args, builder::NonEmptyStringValueParser};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::{Method, header::CONTENT_TYPE};
use serde_json::{json, value::RawValue};
use sockeye_limits as limits;
use uuid::Uuid;

use crate::{
    client::{AddressArgs, Client},
    output,
};

/// Publish events as a device.
///
/// Payloads are arguments, files (`--file`, each one event), or else the lines of standard input (each one event, sent
/// in batches). Every event that is counted is on the server's disk.
#[derive(Args, Debug)]
pub struct PublishArgs {
    /// Name of the application.
    app: String,
    /// Channel of the events.
    channel: String,
    /// Payloads, each one event. Without any, and without `--file`, lines of standard input are.
    payloads: Vec<String>,
    /// Files, each the payload of one event.
    #[arg(long, value_name = "FILE", conflicts_with = "payloads")]
    file: Vec<PathBuf>,
    /// The device that publishes.
    #[arg(long, short, env = "SOCKEYE_DEVICE", value_parser = NonEmptyStringValueParser::new())]
    device: String,
    /// Its password.
    #[arg(long, short, env = "SOCKEYE_DEVICE_PASSWORD", hide_env_values = true)]
    password: String,
    /// The device for which a gateway publishes.
    #[arg(long = "as", value_name = "DEVICE")]
    publish_as: Option<String>,
    /// Media type of the payloads [default: JSON if it is JSON, else plain bytes].
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    #[command(flatten)]
    server: AddressArgs,
}

/// The device's end: where and as whom it publishes.
pub struct Publisher {
    client: Client,
    app: String,
    channel: String,
    device: String,
    password: String,
    publish_as: Option<String>,
}

// ----------------------------------------------------------------------------------------------

pub async fn run(args: PublishArgs) -> Result<()> {
    let trust = args.server.trust()?;
    let client = Client::for_device(args.server.url, &trust)?;
    let publisher = Publisher {
        publish_as: args.publish_as,
        ..Publisher::new(client, &args.app, &args.channel, &args.device, &args.password)
    };
    let content_type = args.content_type.as_deref();
    let progress = progress();
    if !args.file.is_empty() {
        for file in &args.file {
            let payload = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            publisher.one(payload, content_type.or_else(|| by_name(file))).await?;
            progress.inc(1);
        }
    } else if !args.payloads.is_empty() {
        for payload in args.payloads {
            publisher.one(payload.into_bytes(), content_type).await?;
            progress.inc(1);
        }
    } else {
        publish_lines(&publisher, content_type, &progress).await?;
    }
    progress.finish_and_clear();
    output::say(&format!("published {} events", progress.position()));
    Ok(())
}

/// Lines of standard input, in batches. A line is waited for only while nothing is at hand to be sent.
async fn publish_lines(publisher: &Publisher, content_type: Option<&str>, progress: &ProgressBar) -> Result<()> {
    if std::io::stdin().is_terminal() {
        output::say("publishing the lines you type; end with Ctrl-D");
    }
    let (lines, mut arrived) = tokio::sync::mpsc::channel::<std::io::Result<String>>(limits::PUBLISH_LINES);
    // Standard input can only be read by blocking; the thread ends with its input or with the program.
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            if lines.blocking_send(line).is_err() {
                break;
            }
        }
    });
    let mut batch = Vec::new();
    let mut bytes = 0;
    loop {
        let line = match arrived.try_recv() {
            Ok(line) => Some(line),
            Err(_) if batch.is_empty() => arrived.recv().await,
            Err(_) => None,
        };
        let ended = line.is_none() && batch.is_empty();
        if let Some(line) = line {
            let line = line.context("cannot read standard input: lines must be UTF-8")?;
            bytes += line.len();
            batch.push(line);
            if batch.len() < limits::PUBLISH_LINES && bytes < limits::PUBLISH_BYTES {
                continue;
            }
        }
        if ended {
            return Ok(());
        }
        publisher.batch(&batch, content_type).await.with_context(|| {
            format!(
                "after {} events, in the batch of lines {} to {}",
                progress.position(),
                progress.position() + 1,
                progress.position() + batch.len() as u64
            )
        })?;
        progress.inc(batch.len() as u64);
        batch.clear();
        bytes = 0;
    }
}

impl Publisher {
    /// A device of an application that publishes to a channel.
    pub fn new(client: Client, app: &str, channel: &str, device: &str, password: &str) -> Self {
        Self {
            client,
            app: app.to_owned(),
            channel: channel.to_owned(),
            device: device.to_owned(),
            password: password.to_owned(),
            publish_as: None,
        }
    }

    /// Publishes one event.
    pub async fn one(&self, payload: Vec<u8>, content_type: Option<&str>) -> Result<()> {
        let mut request = self.request().body(payload);
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        self.client.send(request).await?;
        Ok(())
    }

    /// Publishes each line as an event, all or none.
    async fn batch(&self, lines: &[String], content_type: Option<&str>) -> Result<()> {
        let events = lines
            .iter()
            .map(|line| envelope(line, content_type))
            .collect::<Result<Vec<_>>>()?;
        let body = format!("[{}]", events.join(","));
        self.client
            .send(
                self.request()
                    .header(CONTENT_TYPE, "application/cloudevents-batch+json")
                    .body(body),
            )
            .await?;
        Ok(())
    }

    fn request(&self) -> reqwest::RequestBuilder {
        let mut request = self
            .client
            .bare(Method::POST, &["v1", &self.channel])
            .query(&[("application", &self.app)])
            .basic_auth(&self.device, Some(&self.password));
        if let Some(device) = &self.publish_as {
            request = request.query(&[("as", device)]);
        }
        request
    }
}

/// A line as an event of a batch; a line that is JSON is embedded as it is.
fn envelope(line: &str, content_type: Option<&str>) -> Result<String> {
    #[derive(serde::Serialize)]
    struct Envelope<'a> {
        specversion: &'a str,
        id: Uuid,
        // Set by the server: a device cannot choose them.
        r#type: &'a str,
        source: &'a str,
        datacontenttype: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<&'a RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        data_base64: Option<String>,
    }
    let json = match content_type {
        None => serde_json::from_str::<&RawValue>(line).ok(),
        Some(declared) if declared.contains("json") => Some(
            serde_json::from_str::<&RawValue>(line)
                .with_context(|| format!("--content-type is {declared}, but a line is not JSON: {}", json!(line)))?,
        ),
        Some(_) => None,
    };
    let fallback = if json.is_some() {
        "application/json"
    } else {
        "application/octet-stream"
    };
    let event = Envelope {
        specversion: "1.0",
        id: Uuid::new_v4(),
        r#type: sockeye_event::event::TYPE_EVENT,
        source: "/",
        datacontenttype: content_type.unwrap_or(fallback),
        data: json,
        data_base64: json.is_none().then(|| STANDARD.encode(line)),
    };
    if line.len() > limits::EVENT_PAYLOAD {
        bail!(
            "a line has {} bytes; an event has at most {}",
            line.len(),
            limits::EVENT_PAYLOAD
        );
    }
    Ok(serde_json::to_string(&event)?)
}

/// The media type of a file, where its name tells.
fn by_name(file: &Path) -> Option<&'static str> {
    match file.extension()?.to_str()? {
        "json" => Some("application/json"),
        "txt" => Some("text/plain"),
        _ => None,
    }
}

/// A counter on standard error while that is a terminal.
fn progress() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {human_pos} events published ({per_sec})")
        .expect("the template is right");
    ProgressBar::new_spinner().with_style(style)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_line_becomes_an_event() {
        let event =
            |line, content_type| -> Value { serde_json::from_str(&envelope(line, content_type).unwrap()).unwrap() };
        assert_eq!(event(r#"{"t":1}"#, None)["data"], json!({"t": 1}));
        assert_eq!(event("21.50", None)["datacontenttype"], "application/json");
        assert!(
            envelope("21.50", None).unwrap().contains(r#""data":21.50"#),
            "numbers stay as written"
        );
        assert_eq!(event("hello", None)["data_base64"], "aGVsbG8=");
        assert_eq!(event("1", Some("text/plain"))["data_base64"], "MQ==");
        assert!(
            envelope("hello", Some("application/json"))
                .unwrap_err()
                .to_string()
                .contains("--content-type")
        );
    }
}
