//! `sockeye bench`: what a machine can do, measured from outside. Sockets and publishers run in one thread of this process,
//! the server in another process: one that runs already, or one that is started for it.
//!
//! | file | idea |
//! | --- | --- |
//! | `mod.rs` | the command line, and the works |
//! | `place.rs` | the server that is measured, and an application in it for this run only |
//! | `report.rs` | what is printed |

mod place;
mod report;

use std::{path::PathBuf, thread, time::Duration};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use sockeye_limits as limits;
use sockeye_load::{Load, Outcome, Pace, Plan, Progress, Publishing, Target, Template};
use sockeye_server::Signals;
use tokio::sync::oneshot;
use url::Url;

use self::{place::Place, report::Report};

/// Measure a server: events to many sockets, events in, idle sockets.
///
/// Without --url a server is started for it, with a data folder that is removed afterwards. An application and a device
/// are made for the run, and removed. Latencies count from the time at which an event was meant to be sent.
#[derive(Args, Debug)]
pub struct BenchArgs {
    #[command(subcommand)]
    work: Work,
    /// A running server (plain HTTP) [default: one is started].
    #[arg(long, global = true, value_name = "URL")]
    url: Option<Url>,
    /// Access key with which an application can be made, as `user:drg_...`.
    #[arg(
        long,
        global = true,
        env = "SOCKEYE_KEY",
        value_name = "USER:KEY",
        hide_env_values = true
    )]
    key: Option<String>,
    /// File that holds such a key [default: sockeye-data/admin-key, if it is there].
    #[arg(
        long,
        global = true,
        env = "SOCKEYE_KEY_FILE",
        value_name = "FILE",
        conflicts_with = "key"
    )]
    key_file: Option<PathBuf>,
    /// Process id of a running server on this machine: its CPU time and memory are shown.
    #[arg(long, global = true, value_name = "PID", requires = "url")]
    pid: Option<u32>,
    /// Seconds to measure.
    #[arg(long, global = true, value_name = "SECONDS", default_value = "10", value_parser = clap::value_parser!(u64).range(1..=3600))]
    time: u64,
    /// Print one line of JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Clone, Debug, Subcommand)]
enum Work {
    /// One event to many sockets.
    FanOut {
        /// Sockets that receive.
        #[arg(long, value_name = "N", default_value = "1000", value_parser = clap::value_parser!(u32).range(1..))]
        sockets: u32,
        #[command(flatten)]
        publish: PublishArgs,
        /// Events in flight: for each that has reached all sockets, another one is sent.
        #[arg(long, value_name = "N", default_value = "8", value_parser = clap::value_parser!(u32).range(1..=CONNECTIONS))]
        in_flight: u32,
    },
    /// Events in, over HTTP, each on disk before it is answered.
    Ingest {
        /// Connections that publish.
        #[arg(long, value_name = "N", default_value = "64", value_parser = clap::value_parser!(u32).range(1..=CONNECTIONS))]
        connections: u32,
        #[command(flatten)]
        publish: PublishArgs,
        /// Events in one request.
        #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=1000))]
        batch: u32,
    },
    /// Sockets on which nothing happens but Pings.
    Idle {
        /// Sockets to hold open.
        #[arg(long, value_name = "N", default_value = "1000", value_parser = clap::value_parser!(u32).range(1..))]
        sockets: u32,
    },
}

#[derive(Args, Clone, Debug)]
struct PublishArgs {
    /// Bytes of the payload of an event.
    #[arg(long, value_name = "BYTES", default_value = "300", value_parser = clap::value_parser!(u32).range(1..=limits::EVENT_PAYLOAD as i64))]
    size: u32,
    /// Requests a second, whatever becomes of the earlier ones [default: as fast as the server allows].
    #[arg(long, value_name = "N", value_parser = rate)]
    rate: Option<f64>,
}

/// Most connections that publish, and those of a rate.
const CONNECTIONS: i64 = 1_000;
const RATE_CONNECTIONS: usize = 256;
/// Time before what is measured: caches fill, and the first connections are made.
const WARM_UP: Duration = Duration::from_secs(1);

// ----------------------------------------------------------------------------------------------

pub async fn run(args: BenchArgs) -> Result<()> {
    // Before there is anything to remove.
    let mut signals = Signals::new().context("cannot receive signals")?;
    let place = Place::open(&args).await?;
    let result = tokio::select! {
        result = measure(&args, &place) => result,
        _ = signals.next() => Err(anyhow!("interrupted")),
    };
    // Also after an error: nothing stays behind on the server.
    place.leave().await?;
    result?.print(args.json)
}

async fn measure(args: &BenchArgs, place: &Place) -> Result<Report> {
    let plan = Plan {
        pace: args.work.pace(),
        reaches: None,
        warm_up: WARM_UP,
        time: Duration::from_secs(args.time),
        server: place.process,
    };
    let before = plan.server.map(|server| server.usage()).transpose()?;
    let (sockets, target) = (args.work.sockets(), place.target());
    let publishing = args.work.publishing(place)?;
    let bar = progress_bar();
    let (done, outcome) = oneshot::channel();
    // The loop of the load blocks its thread. Nothing waits for that: after an interrupt it ends with the program.
    thread::spawn(move || {
        let outcome = drive(target, sockets, publishing, &plan, &bar);
        bar.finish_and_clear();
        // Nobody waits for it after an interrupt.
        let _ = done.send(outcome);
    });
    Ok(Report {
        work: args.work.clone(),
        outcome: outcome.await.context("the load ended without a word")??,
        resident_before: before.map(|usage| usage.resident),
    })
}

/// Opens the sockets, publishes and measures.
fn drive(
    target: Target,
    sockets: usize,
    publishing: Option<Publishing>,
    plan: &Plan,
    bar: &ProgressBar,
) -> Result<Outcome> {
    let mut load = Load::new()?;
    bar.set_message("opening sockets");
    load.open(target, sockets, |ready| {
        bar.set_position(1_000 * ready as u64 / sockets.max(1) as u64);
    })?;
    if let Some(publishing) = publishing {
        load.publish(publishing)?;
    }
    bar.set_position(0);
    load.run(plan, |progress| {
        let Progress {
            part,
            answered,
            delivered,
        } = progress;
        bar.set_position((part * 1_000.0) as u64);
        bar.set_message(format!("{answered} published, {delivered} delivered"));
    })
}

impl Work {
    fn sockets(&self) -> usize {
        match self {
            Self::FanOut { sockets, .. } | Self::Idle { sockets } => *sockets as usize,
            Self::Ingest { .. } => 0,
        }
    }

    fn pace(&self) -> Pace {
        match self {
            Self::FanOut { publish, .. } | Self::Ingest { publish, .. } => {
                publish.rate.map_or(Pace::WhenArrived, Pace::Rate)
            }
            Self::Idle { .. } => Pace::WhenArrived,
        }
    }

    fn publishing(&self, place: &Place) -> Result<Option<Publishing>> {
        let (connections, publish, batch) = match self {
            Self::FanOut { in_flight, publish, .. } => (*in_flight, publish, 1),
            Self::Ingest {
                connections,
                publish,
                batch,
            } => (*connections, publish, *batch),
            Self::Idle { .. } => return Ok(None),
        };
        let payload = Template::payload(publish.size as usize);
        let request = if batch == 1 {
            place.request("application/json", &payload)
        } else {
            let body = batch_of(batch, &payload);
            if body.len() > limits::EVENT_BATCH {
                bail!(
                    "a batch of {batch} events has {} bytes, the server takes {}: lower --batch or --size",
                    body.len(),
                    limits::EVENT_BATCH
                );
            }
            place.request("application/cloudevents-batch+json", &body)
        };
        // A rate must not wait for answers.
        let connections = if publish.rate.is_some() {
            RATE_CONNECTIONS
        } else {
            connections as usize
        };
        Ok(Some(Publishing::http(place.address, connections, request)))
    }
}

/// Ids repeat from batch to batch: nobody reads them.
fn batch_of(events: u32, payload: &str) -> String {
    let event = |id: u32| {
        format!(
            r#"{{"specversion":"1.0","id":"{id}","type":"bench","source":"/","datacontenttype":"application/json","data":{payload}}}"#
        )
    };
    format!("[{}]", (0..events).map(event).collect::<Vec<_>>().join(","))
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.01..=1_000_000.0).contains(&rate) => Ok(rate),
        _ => Err("give a number from 0.01 to 1000000".to_owned()),
    }
}

/// On standard error, while that is a terminal.
fn progress_bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {percent:>3} %  {msg}").expect("the template is right");
    ProgressBar::new(1_000).with_style(style)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_json_of_so_many_events() {
        let batch: serde_json::Value = serde_json::from_str(&batch_of(3, &Template::payload(100))).unwrap();
        assert_eq!(batch.as_array().unwrap().len(), 3);
        assert_eq!(batch[2]["data"]["n"], "0000000000000000");
    }

    #[test]
    fn a_rate_is_a_number_above_zero() {
        assert_eq!(rate("2.5"), Ok(2.5));
        for wrong in ["0", "-1", "NaN", "inf", "x"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }
}
