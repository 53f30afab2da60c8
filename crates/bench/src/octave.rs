//! Subscriptions in band: a socket of the Octave dialect beside one of Drogue's, and one with very many subscriptions beside one that
//! has the one which an event is for.

use std::path::Path;

use anyhow::{Context as _, Result};
use sockeye_limits as limits;
use sockeye_load::{Load, Target};

use crate::{
    delivery::{measure, per_delivery, table},
    report::{Bar, Table, median, spread},
    sockeye::{APPLICATION, DEVICE, Sockeye},
};

/// Sockets on one stream.
const SOCKETS: usize = 1_000;
/// Subscriptions of one socket.
const SUBSCRIPTIONS: usize = limits::WS_SUBSCRIPTIONS;
/// Streams that are subscribed to in the end.
const STREAMS: usize = 100_000;
const IN_FLIGHT: usize = 8;

/// What was measured while subscriptions were made.
struct Made {
    /// Resident memory of each, in bytes.
    bytes: f64,
    /// CPU time of each, in microseconds.
    cpu: f64,
}

// ----------------------------------------------------------------------------------------------

pub fn run(rounds: usize, binary: &Path) -> Result<Table> {
    let mut table = table("octave");
    fan_out(rounds, &Sockeye::start(binary)?, &mut table).context("sockets on one stream")?;
    subscriptions(rounds, binary, &mut table).context("many subscriptions")?;
    Ok(table)
}

/// The same event to as many sockets, by both dialects.
fn fan_out(rounds: usize, sockeye: &Sockeye, table: &mut Table) -> Result<()> {
    let (mut octave, mut drogue) = (vec![], vec![]);
    for round in 0..rounds {
        eprintln!("octave, {SOCKETS} sockets: round {} of {rounds}", round + 1);
        let mut load = Load::new()?;
        let target = Target::new(sockeye.address, format!("/{APPLICATION}/temperature?device={DEVICE}"));
        load.open(target, SOCKETS, |_| {})?;
        drogue.push(per_delivery(&measure(sockeye, &mut load, IN_FLIGHT, None)?)?);
        // Its sockets go: what they are sent would count.
        drop(load);
        let mut load = Load::new()?;
        open(sockeye, &mut load, SOCKETS, |_| vec!["temperature".to_owned()])?;
        octave.push(per_delivery(&measure(sockeye, &mut load, IN_FLIGHT, None)?)?);
    }
    let work = format!("an event to {SOCKETS} sockets on one stream, beside the Drogue dialect");
    table.compare(work, &octave, &drogue, 1.05, "per delivered event");
    Ok(())
}

/// Each event is in one subscription: of a socket that has it alone, of one among many, and of one among very many sockets with as many.
fn subscriptions(rounds: usize, binary: &Path, table: &mut Table) -> Result<()> {
    let (mut one, mut many, mut all) = (vec![], vec![], vec![]);
    let mut made = Vec::new();
    for round in 0..rounds {
        eprintln!("octave, {STREAMS} streams: round {} of {rounds}", round + 1);
        let sockeye = Sockeye::start(binary)?;
        let mut load = Load::new()?;
        open(&sockeye, &mut load, 1, |_| vec!["temperature".to_owned()])?;
        one.push(per_event(&sockeye, &mut load)?);
        drop(load);
        let mut load = Load::new()?;
        let channels = |socket: usize| {
            let others = (1..SUBSCRIPTIONS).map(|number| format!("channel-{socket}-{number}"));
            let first = if socket == 0 {
                "temperature".to_owned()
            } else {
                format!("channel-{socket}")
            };
            others.chain([first]).collect::<Vec<_>>()
        };
        open(&sockeye, &mut load, 1, channels)?;
        many.push(per_event(&sockeye, &mut load)?);
        let others = STREAMS / SUBSCRIPTIONS - 1;
        let before = sockeye.server.process()?.usage()?;
        open(&sockeye, &mut load, others, |socket| channels(socket + 1))?;
        let after = sockeye.server.process()?.usage()?;
        let each = |whole: f64| whole / (others * SUBSCRIPTIONS) as f64;
        made.push(Made {
            bytes: each(after.resident.saturating_sub(before.resident) as f64),
            cpu: each(after.cpu.saturating_sub(before.cpu).as_secs_f64() * 1e6),
        });
        all.push(per_event(&sockeye, &mut load)?);
    }
    let work = format!("an event to a socket with {SUBSCRIPTIONS} subscriptions, beside one with that alone");
    table.compare(work, &many, &one, 1.25, "HTTP publish included");
    let work = format!("the same among {STREAMS} subscriptions of others");
    table.compare(work, &all, &one, 1.25, "HTTP publish included");
    let of = |what: fn(&Made) -> f64| made.iter().map(what).collect::<Vec<_>>();
    let bytes = of(|made| made.bytes);
    let [bar, verdict] = Bar::AtMost(300.0).cells(median(&bytes));
    let (bytes, cpu) = (spread(&bytes), of(|made| made.cpu));
    table.row([
        format!("a subscription, of {STREAMS}"),
        format!("{:.1}", median(&cpu)),
        String::new(),
        String::new(),
        bar,
        verdict,
        format!("resident bytes: {bytes}; CPU us to subscribe: {}", spread(&cpu)),
    ]);
    Ok(())
}

fn per_event(sockeye: &Sockeye, load: &mut Load) -> Result<f64> {
    let outcome = measure(sockeye, load, IN_FLIGHT, Some(1))?;
    outcome.cpu_per_answer().context("nothing was answered")
}

/// Opens so many sockets, each with subscriptions to these channels of the device.
fn open(sockeye: &Sockeye, load: &mut Load, sockets: usize, channels: impl Fn(usize) -> Vec<String>) -> Result<()> {
    for first in (0..sockets).step_by(limits::OCTAVE_CONNECTIONS_PER_SESSION) {
        let session = session(sockeye)?;
        for socket in first..sockets.min(first + limits::OCTAVE_CONNECTIONS_PER_SESSION) {
            let channels = channels(socket);
            let last = channels.len() - 1;
            let subscribe = |(number, channel): (usize, &String)| {
                let message = if number == last { "last" } else { "" };
                format!(
                    r#"{{"msgId":"{message}","object":"event","type":"subscribe","path":"/{APPLICATION}/devices/{DEVICE}/{channel}"}}"#
                )
            };
            let target = Target {
                hello: channels
                    .iter()
                    .enumerate()
                    .map(subscribe)
                    .map(String::into_bytes)
                    .collect(),
                ready: Some(br#"{"msgId":"last","ok":true"#.to_vec()),
                ..Target::new(sockeye.address, format!("/session/{session}/ws"))
            };
            load.open(target, 1, |_| {})?;
        }
    }
    Ok(())
}

/// A session of the administrator.
fn session(sockeye: &Sockeye) -> Result<String> {
    let (user, key) = &sockeye.admin;
    let body = sockeye.ask(&format!(
        "POST /session HTTP/1.1\r\nX-Auth-User: {user}\r\nX-Auth-Token: {key}\r\nX-Auth-Company: {APPLICATION}\r\nContent-Length: 0"
    ))?;
    Ok(body["body"]["id"].as_str().context("no session")?.to_owned())
}
