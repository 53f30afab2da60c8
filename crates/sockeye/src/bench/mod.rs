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
use sockeye_load::{BATCH, Load, Pace, Plan, Progress, Publishing, Storms, Target, Template};
use sockeye_server::Signals;
use tokio::sync::oneshot;
use url::Url;

use self::{
    place::Place,
    report::{Measured, Report},
};
use crate::value;

/// Measure a server: events to many sockets, events in, idle sockets, sockets that come back.
///
/// Without --url a server is started for it, with a data folder that is removed afterwards. An application and a device
/// are made for the run, and removed. Latencies count from the time at which something was meant to happen: an event to be
/// sent, a client to come back.
#[derive(Args, Debug)]
pub struct BenchArgs {
    #[command(subcommand)]
    work: Work,
    /// A running server [default: one is started].
    #[arg(long, global = true, value_name = "URL", value_parser = value::address)]
    url: Option<Url>,
    /// PEM file with the certificates to trust where that is called by https [default: those of this system].
    #[arg(long, global = true, env = "SOCKEYE_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
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
    /// Sockets that come back all at once, each from its cursor, and read what they have missed.
    ///
    /// They go away, events are published, all come back in the same moment: storm after storm, after one that does not
    /// count. A client that misses an event or gets one twice makes the command fail.
    Resume {
        /// Sockets that go away and come back.
        #[arg(long, value_name = "N", default_value = "1000", value_parser = clap::value_parser!(u32).range(1..))]
        sockets: u32,
        /// Events that each of them misses.
        #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        missed: u32,
        #[command(flatten)]
        payload: PayloadArgs,
    },
}

#[derive(Args, Clone, Debug)]
struct PayloadArgs {
    /// Bytes of the payload of an event.
    #[arg(long, value_name = "BYTES", default_value = "300", value_parser = clap::value_parser!(u32).range(1..=limits::EVENT_PAYLOAD as i64))]
    size: u32,
}

#[derive(Args, Clone, Debug)]
struct PublishArgs {
    #[command(flatten)]
    payload: PayloadArgs,
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
    let time = Duration::from_secs(args.time);
    let before = place.process.map(|server| server.usage()).transpose()?;
    let measured = if let Work::Resume {
        sockets,
        missed,
        payload,
    } = &args.work
    {
        let storms = Storms {
            target: place.target(),
            clients: *sockets as usize,
            missed: *missed as usize,
            payload: payload.size as usize,
            publish: place.requests(),
            server: place.process,
        };
        apart(move |bar| weather(&storms, time, bar)).await?
    } else {
        let plan = Plan {
            pace: args.work.pace(),
            reaches: None,
            warm_up: WARM_UP,
            time,
            server: place.process,
        };
        let (sockets, target) = (args.work.sockets(), place.target());
        let publishing = args.work.publishing(place)?;
        apart(move |bar| drive(target, sockets, publishing, &plan, bar)).await?
    };
    Ok(Report {
        work: args.work.clone(),
        measured,
        resident_before: before.map(|usage| usage.resident),
    })
}

/// Runs a load beside what waits for signals.
async fn apart(load: impl FnOnce(&ProgressBar) -> Result<Measured> + Send + 'static) -> Result<Measured> {
    let bar = progress_bar();
    let (done, measured) = oneshot::channel();
    // The loop of the load blocks its thread. Nothing waits for that: after an interrupt it ends with the program.
    thread::spawn(move || {
        let measured = load(&bar);
        bar.finish_and_clear();
        // Nobody waits for it after an interrupt.
        let _ = done.send(measured);
    });
    measured.await.context("the load ended without a word")?
}

/// Lets the clients come back, again and again.
fn weather(storms: &Storms, time: Duration, bar: &ProgressBar) -> Result<Measured> {
    bar.set_message("opening sockets, and a storm that does not count");
    let resumed = storms.run(time, |part, resumes| {
        bar.set_position((part * 1_000.0) as u64);
        bar.set_message(format!("{resumes} resumes"));
    })?;
    Ok(Measured::Storms(resumed))
}

/// Opens the sockets, publishes and measures.
fn drive(
    target: Target,
    sockets: usize,
    publishing: Option<Publishing>,
    plan: &Plan,
    bar: &ProgressBar,
) -> Result<Measured> {
    let mut load = Load::new()?;
    bar.set_message("opening sockets");
    load.open(target, sockets, |ready| {
        bar.set_position(1_000 * ready as u64 / sockets.max(1) as u64);
    })?;
    if let Some(publishing) = publishing {
        load.publish(publishing)?;
    }
    bar.set_position(0);
    let outcome = load.run(plan, |progress| {
        let Progress {
            part,
            answered,
            delivered,
        } = progress;
        bar.set_position((part * 1_000.0) as u64);
        bar.set_message(format!("{answered} published, {delivered} delivered"));
    })?;
    Ok(Measured::Run(outcome))
}

impl Work {
    /// As it is typed.
    fn name(&self) -> &'static str {
        match self {
            Self::FanOut { .. } => "fan-out",
            Self::Ingest { .. } => "ingest",
            Self::Idle { .. } => "idle",
            Self::Resume { .. } => "resume",
        }
    }

    fn sockets(&self) -> usize {
        match self {
            Self::FanOut { sockets, .. } | Self::Idle { sockets } | Self::Resume { sockets, .. } => *sockets as usize,
            Self::Ingest { .. } => 0,
        }
    }

    fn pace(&self) -> Pace {
        match self {
            Self::FanOut { publish, .. } | Self::Ingest { publish, .. } => {
                publish.rate.map_or(Pace::WhenArrived, Pace::Rate)
            }
            Self::Idle { .. } | Self::Resume { .. } => Pace::WhenArrived,
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
            Self::Idle { .. } | Self::Resume { .. } => return Ok(None),
        };
        let payload = Template::payload(publish.payload.size as usize);
        let request = if batch == 1 {
            place.request("application/json", &payload)
        } else {
            let body = Template::batch((0..batch).map(|_| &payload));
            if body.len() > limits::EVENT_BATCH {
                bail!(
                    "a batch of {batch} events has {} bytes, the server takes {}: lower --batch or --size",
                    body.len(),
                    limits::EVENT_BATCH
                );
            }
            place.request(BATCH, &body)
        };
        // A rate must not wait for answers.
        let connections = if publish.rate.is_some() {
            RATE_CONNECTIONS
        } else {
            connections as usize
        };
        Ok(Some(place.publishing(connections, request)))
    }
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
    fn a_rate_is_a_number_above_zero() {
        assert_eq!(rate("2.5"), Ok(2.5));
        for wrong in ["0", "-1", "NaN", "inf", "x"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }
}
