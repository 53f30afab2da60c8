//! What `scripts/bench` runs: Sockeye beside the floor and beside others, in interleaved rounds of one run, as ratios.
//!
//! | file | idea |
//! | --- | --- |
//! | `filter.rs` | filters on the bytes of a payload beside a scan of the same bytes |
//! | `append.rs` | the SQLite engine beside a raw append-only file that is synced the same way |
//! | `publish.rs` | HTTP publish beside a bare hyper server that only reads the body |
//! | `fan_out.rs`, `tls.rs` | one event to many sockets; the same over TLS |
//! | `delivery/` | Sockeye beside itself: compressed frames, many lanes, stalled readers, what was missed |
//! | `octave.rs` | subscriptions in band: what they cost to have, and what an event costs that one of them wants |
//! | `commands.rs` | commands to devices that wait |
//! | `identity/` | handshakes, by what is shown, beside a bare hyper upgrade |
//! | `registry.rs` | lists and documents of a registry, beside a scan of its table and a read of one row |
//! | `kafka.rs` | events in Kafka, beside a bare consumer and beside the file |
//! | `idle.rs` | many sockets on which nothing happens |
//! | `sockeye.rs`, `peers.rs` | the servers that are measured |
//! | `servers/` | those of them that are ours: the floors, and what one writes first |
//! | `process.rs` | a server as a child process, on a core of its own |
//! | `report.rs` | medians, ratios, bars, tables |
//!
//! Machines are noisy: only ratios within one run are worth quoting.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that prints its results"
)]

mod append;
mod commands;
mod delivery;
mod fan_out;
mod filter;
mod identity;
mod idle;
mod kafka;
mod octave;
mod peers;
mod process;
mod publish;
mod registry;
mod report;
mod servers;
mod sockeye;
mod tls;

use std::path::PathBuf;

use anyhow::{Result, bail};

const USAGE: &str = "sockeye-bench [--rounds N] [--sockeye BINARY] [filter | append | publish | fan-out | tls | delivery | groups | octave | identity | commands | registry | idle | kafka] ...: without a name, everything";

/// What can be measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    Filter,
    Append,
    Publish,
    FanOut,
    Tls,
    Delivery,
    Groups,
    Octave,
    Identity,
    Commands,
    Registry,
    Idle,
    Kafka,
}

/// Sockets of the rows of fan-out.
const SOCKETS: [usize; 2] = [1_000, 5_000];

// ----------------------------------------------------------------------------------------------

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let mut rounds = 5;
    let mut binary = PathBuf::from("target/release/sockeye");
    let mut works = Vec::new();
    while let Some(word) = words.next() {
        match word.as_str() {
            "filter" => works.push(Work::Filter),
            "append" => works.push(Work::Append),
            "publish" => works.push(Work::Publish),
            "fan-out" => works.push(Work::FanOut),
            "tls" => works.push(Work::Tls),
            "delivery" => works.push(Work::Delivery),
            "groups" => works.push(Work::Groups),
            "octave" => works.push(Work::Octave),
            "identity" => works.push(Work::Identity),
            "commands" => works.push(Work::Commands),
            "registry" => works.push(Work::Registry),
            "idle" => works.push(Work::Idle),
            "kafka" => works.push(Work::Kafka),
            // How this program starts its own servers.
            "serve" => {
                let (name, folder) = (words.next(), words.next());
                return servers::serve(&name.unwrap_or_default(), &folder.unwrap_or_default());
            }
            "--rounds" => match words.next().and_then(|n| n.parse().ok()) {
                Some(number @ 1..) => rounds = number,
                _ => bail!("--rounds takes a number of at least 1\n{USAGE}"),
            },
            "--sockeye" => match words.next() {
                Some(path) => binary = path.into(),
                None => bail!("--sockeye takes the path of the binary\n{USAGE}"),
            },
            "--help" | "-h" => {
                println!("{USAGE}");
                return Ok(());
            }
            other => bail!("`{other}` is not known\n{USAGE}"),
        }
    }
    if works.is_empty() {
        works = vec![
            Work::Filter,
            Work::Append,
            Work::Publish,
            Work::FanOut,
            Work::Tls,
            Work::Delivery,
            Work::Groups,
            Work::Octave,
            Work::Identity,
            Work::Commands,
            Work::Registry,
            Work::Idle,
            Work::Kafka,
        ];
    }
    for work in works {
        match work {
            Work::Filter => println!("{}\n", filter::run(rounds)?),
            Work::Append => println!("{}\n", append::run(rounds)?),
            Work::Publish => println!("{}\n", publish::run(rounds, &binary)?),
            Work::FanOut => {
                let (peers, missing) = peers::start(&binary)?;
                for sockets in SOCKETS {
                    let table = fan_out::run(rounds, "", sockets, &peers, &missing, &fan_out::BARS)?;
                    println!("{table}\n");
                }
            }
            Work::Tls => println!("{}\n", tls::run(rounds, &binary)?),
            Work::Delivery => println!("{}\n", delivery::run(rounds, &binary)?),
            Work::Groups => println!("{}\n", delivery::groups(rounds, &binary)?),
            Work::Octave => println!("{}\n", octave::run(rounds, &binary)?),
            Work::Identity => println!("{}\n", identity::run(rounds, &binary)?),
            Work::Commands => println!("{}\n", commands::run(rounds, &binary)?),
            Work::Registry => println!("{}\n", registry::run(rounds, &binary)?),
            Work::Kafka => println!("{}\n", kafka::run(rounds, &binary)?),
            Work::Idle => {
                let (peers, missing) = peers::start(&binary)?;
                println!("{}\n", idle::run(&peers, &missing)?);
            }
        }
    }
    Ok(())
}
