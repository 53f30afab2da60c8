//! `sockeye stream`: events of an application as they come, over interruptions.

use std::time::Duration;

use anyhow::{Result, bail};
use bytes::Bytes;
use clap::Args;
use crossterm::style::Color;
use rand::RngExt as _;
use sockeye_event::event::extension;
use sockeye_event::{Event, structured};
use sockeye_limits as limits;
use tokio::time::Instant;

use crate::{
    client::ServerArgs,
    output::{self, Output},
    socket::{Ended, Source},
    value,
};

/// Stream the events of an application.
#[derive(Args, Debug)]
pub struct StreamArgs {
    /// Name of the application.
    app: String,
    /// Only events of this channel.
    channel: Option<String>,
    /// Start in the past: `earliest`, a time (RFC 3339), or a cursor [default: with what is published from now on].
    #[arg(long, value_name = "WHERE")]
    from: Option<String>,
    /// End when everything that was published before this time (RFC 3339) has come.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only events of this device.
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// Only events of this type.
    #[arg(long = "type", value_name = "TYPE")]
    ty: Option<String>,
    /// Only events that pass this: payload fields by bare name, attributes as `ce.device` (see `sockeye filter`).
    #[arg(long = "where", value_name = "CONDITIONS", allow_hyphen_values = true)]
    conditions: Option<String>,
    /// What of their payloads, such as `attrs(temperature,humidity),status`.
    #[arg(long, value_name = "SELECTOR", allow_hyphen_values = true)]
    fields: Option<String>,
    /// Share the events with all who give the same name, so that each gets some and together they get all: the group keeps its
    /// place while nobody reads.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["from", "until"])]
    group: Option<String>,
    /// In a group: all events of one device come to the same reader, in order. All of the group have to say so.
    #[arg(long, requires = "group")]
    by_device: bool,
    /// Print with each event the cursor behind it, for a later --from.
    #[arg(long)]
    cursor: bool,
    /// End after this many events.
    #[arg(long, short = 'n', value_name = "N", value_parser = value::count)]
    events: Option<u64>,
    /// Form of what is printed: `json` prints each event as it came, one a line [default: pretty on a terminal, json in
    /// a pipe].
    #[arg(long, short, value_name = "FORM")]
    output: Option<Output>,
    /// End when the connection is lost instead of connecting again.
    #[arg(long)]
    no_reconnect: bool,
    #[command(flatten)]
    server: ServerArgs,
}

// ----------------------------------------------------------------------------------------------

pub async fn run(args: StreamArgs) -> Result<()> {
    let output = Output::or_by_terminal(args.output);
    let source = Source {
        url: args.server.address.url.clone(),
        application: args.app.clone(),
        channel: args.channel.clone(),
        login: args.server.login()?,
        trust: args.server.address.trust()?,
        parameters: parameters(&args),
    };
    // Where to go on. What comes carries cursors in any case, so that an interruption loses nothing.
    // (A group knows by itself.)
    let mut from = args.from.clone();
    let mut left = args.events.unwrap_or(u64::MAX);
    let mut pause = limits::STREAM_RETRY_FIRST;
    // When the stream was lost; until the first connection nothing was.
    let mut lost: Option<Instant> = None;
    // Whether what follows the last event was gone before it could be read.
    let mut gone = false;
    loop {
        let ended = match source.connect(from.as_deref()).await {
            Ok(mut socket) => {
                match lost.take() {
                    None => output::say(&format!("streaming {}", source.address()?)),
                    Some(since) => output::say(&format!(
                        "connected again after {:.1} s; {}",
                        since.elapsed().as_secs_f64(),
                        match (from.is_some(), gone) {
                            _ if args.group.is_some() => "the group goes on where it was",
                            (true, false) => "nothing was missed",
                            (true, true) => "going on with the oldest event that is left",
                            (false, _) => "what was published meanwhile was not seen",
                        }
                    )),
                }
                gone = false;
                from = socket.begin.take().filter(|_| args.group.is_none());
                let cursors = from.is_some();
                pause = limits::STREAM_RETRY_FIRST;
                loop {
                    if left == 0 {
                        if args.group.is_some() {
                            socket.receipt().await;
                        }
                        return Ok(());
                    }
                    match socket.next().await {
                        Ok(text) => match split_cursor(&text).filter(|_| cursors) {
                            Some((event, cursor)) => {
                                if args.cursor {
                                    print_with_cursor(output, &text, cursor)?;
                                } else {
                                    print(output, &format!("{event}}}"))?;
                                }
                                from = Some(cursor.to_owned());
                            }
                            None => print(output, &text)?,
                        },
                        Err(ended) => {
                            lost = Some(Instant::now());
                            break ended;
                        }
                    }
                    left -= 1;
                }
            }
            // A server that never answered is more likely a wrong address than a restart.
            Err(Ended::ForNow(reason)) if lost.is_none() => {
                bail!(
                    "cannot connect to {}: {reason}\nIs it running? `sockeye serve` starts one.",
                    source.address()?
                )
            }
            Err(ended) => ended,
        };
        match ended {
            Ended::Complete if args.until.is_some() => return Ok(()),
            Ended::Complete => bail!("the server closed the stream"),
            Ended::ForGood(reason) => bail!("{reason}"),
            Ended::Gone { reason, .. } if lost.is_none() => {
                bail!("{reason}\n`--from earliest` starts with the oldest event that is left.")
            }
            Ended::Gone { reason, oldest } => {
                output::say(&reason);
                from = Some(oldest);
                gone = true;
            }
            Ended::ForNow(reason) if args.no_reconnect => bail!("{reason}"),
            Ended::ForNow(reason) => {
                let wait = jittered(pause);
                output::say(&format!("{reason}; connecting again in {:.1} s", wait.as_secs_f64()));
                tokio::time::sleep(wait).await;
                pause = (pause * 2).min(limits::STREAM_RETRY_MOST);
            }
        }
    }
}

/// The query of the stream, but for `from`.
fn parameters(args: &StreamArgs) -> Vec<(&'static str, String)> {
    let by_device = args.by_device.then(|| "device".to_owned());
    // Who reads alone goes on from the last cursor after an interruption.
    let cursor = (args.cursor || args.group.is_none()).then(|| "true".to_owned());
    let given = [
        ("until", &args.until),
        ("device", &args.device),
        ("type", &args.ty),
        ("where", &args.conditions),
        ("fields", &args.fields),
        ("group_id", &args.group),
        ("balance", &by_device),
        ("cursor", &cursor),
    ];
    let given = given.into_iter();
    given.filter_map(|(name, value)| Some((name, value.clone()?))).collect()
}

/// Takes a cursor off an event: what is before it, less the closing brace, and the cursor. It is the last member.
fn split_cursor(text: &str) -> Option<(&str, &str)> {
    let (event, cursor) = text.strip_suffix("\"}")?.rsplit_once(",\"cursor\":\"")?;
    (!cursor.contains('"')).then_some((event, cursor))
}

/// Half of the pause to all of it, so that the clients of a server that restarts do not come all at once.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::rng().random_range(0.5..=1.0))
}

/// Prints an event in this form.
pub fn print(output: Output, text: &str) -> Result<()> {
    match output {
        Output::Json => output::line(text),
        Output::Pretty => output::line(&pretty(text)),
    }
}

/// Prints an event that carries its cursor.
fn print_with_cursor(output: Output, text: &str, cursor: &str) -> Result<()> {
    match output {
        Output::Json => output::line(text),
        Output::Pretty => output::line(&format!(
            "{}  {}",
            pretty(text),
            output::colored(cursor.to_owned(), Color::DarkGrey)
        )),
    }
}

/// One line for people: time, device, channel, payload.
pub fn pretty(text: &str) -> String {
    let Ok(event) = structured::decode(&Bytes::copy_from_slice(text.as_bytes())) else {
        return text.to_owned();
    };
    let time = event.time.map_or_else(
        || "-".to_owned(),
        |time| {
            time.to_zoned(jiff::tz::TimeZone::system())
                .strftime("%H:%M:%S%.3f")
                .to_string()
        },
    );
    let device = event.device().map_or("-", |device| device);
    let channel = event.channel().map_or("-", |channel| channel);
    format!(
        "{}  {}  {}  {}",
        output::colored(time, Color::DarkGrey),
        output::colored(device, Color::Cyan),
        output::colored(channel, Color::Green),
        payload(&event)
    )
}

/// The payload as text, or its size where it is none.
fn payload(event: &Event) -> String {
    match &event.data {
        // What became of a device is all that its event tells.
        None => event.extension(extension::CHANGE).unwrap_or(&event.ty).to_string(),
        Some(data) => match std::str::from_utf8(data) {
            Ok(text) if !text.contains(char::is_control) => text.to_owned(),
            _ => format!(
                "{} bytes of {}",
                data.len(),
                event.data_content_type.as_deref().unwrap_or("application/octet-stream")
            ),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_in_one_line() {
        let text = r#"{"specversion":"1.0","id":"1","type":"io.drogue.event.v1","source":"s","datacontenttype":"application/json","subject":"temperature","time":"2026-01-01T00:00:00Z","data":{"temp":21.5},"device":"d1"}"#;
        let line = pretty(text);
        for part in ["d1", "temperature", r#"{"temp":21.5}"#] {
            assert!(line.contains(part), "{line}");
        }
    }

    #[test]
    fn a_cursor_is_taken_off() {
        for (text, expected) in [
            (r#"{"id":"1","cursor":"AQ-_"}"#, Some((r#"{"id":"1""#, "AQ-_"))),
            (r#"{"cursor":"mine","x":"y"}"#, None),
            (r#"{"id":"1","cursor":"mine","x":"y"}"#, None),
            (r#"{"id":"1","data":"\",\"cursor\":\"AQ"}"#, None),
            (r#"{"id":"1"}"#, None),
        ] {
            assert_eq!(split_cursor(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_event_is_shown_as_it_came() {
        assert_eq!(pretty("{}"), "{}");
    }
}
