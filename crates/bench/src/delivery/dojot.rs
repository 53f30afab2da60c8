//! A topic of dojot: each filter looked at once for all who have it, beside a server that parses a message, looks at it and prints
//! it anew for each of its sockets, as one writes it first.

use std::{net::SocketAddr, process::Command};

use anyhow::{Context as _, Result};
use sockeye_load::{Load, Outcome, Pace, Plan, Publishing, Target, Template};

use super::{ROUND, WARM_UP};
use crate::{
    process::Server,
    report::{Bar, Table, median, ratios, spread},
    sockeye::{APPLICATION, Sockeye},
};

pub const SOCKETS: usize = 100;
pub const FILTERS: usize = 10;
const IN_FLIGHT: usize = 64;
/// Bytes of a payload.
const PAYLOAD: usize = 512;

// ----------------------------------------------------------------------------------------------

pub fn run(rounds: usize, sockeye: &Sockeye, table: &mut Table) -> Result<()> {
    let peer = Server::start(Command::new(std::env::current_exe()?).args(["serve", "trees"]), ":")?;
    let address: SocketAddr = peer.ready.parse()?;
    let payload = payload();
    let (mut own, mut beside) = (vec![], vec![]);
    for round in 0..rounds {
        eprintln!("dojot: round {} of {rounds}", round + 1);
        let mut load = Load::new()?;
        load.open(Target::new(address, "/"), SOCKETS, |_| {})?;
        let request = Template::post(address, "/", None, "application/json", payload.as_bytes());
        load.publish(Publishing {
            pipelined: IN_FLIGHT,
            ..Publishing::http(address, 1, request)
        })?;
        beside.push(per_event(&measure(&mut load, &peer)?)?);

        let mut load = Load::new()?;
        for number in 0..SOCKETS {
            let (ticket, filter) = (ticket(sockeye)?, filter(number));
            let path = format!("/kafka-ws/v1/topics/{APPLICATION}.temperature?ticket={ticket}&where={filter}");
            load.open(Target::new(sockeye.address, path), 1, |_| {})?;
        }
        let request = sockeye.request("application/json", payload.as_bytes());
        load.publish(Publishing::http(sockeye.address, IN_FLIGHT, request))?;
        own.push(per_event(&measure(&mut load, &sockeye.server)?)?);
    }
    let ratios = ratios(&beside, &own);
    let [bar, verdict] = Bar::AtLeast(10.0).cells(median(&ratios));
    table.row([
        format!("events per CPU second of a dojot topic, {SOCKETS} sockets, {FILTERS} filters, beside a tree for each socket"),
        format!("{:.2}", median(&own)),
        format!("{:.2}", median(&beside)),
        spread(&ratios),
        bar,
        verdict,
        "HTTP publish included".to_owned(),
    ]);
    Ok(())
}

/// The filter of a socket: every one passes.
pub fn filter(socket: usize) -> String {
    format!("temperature=gte:{};", socket % FILTERS)
}

/// As a device sends it: some members before and behind the one that counts.
fn payload() -> String {
    let start = Template::payload(0);
    let mut text = start[..start.len() - 1].to_owned();
    for number in 0.. {
        let member = format!(
            ",\"sensor-{number}\":{{\"status\":\"running\",\"value\":{}.{number}}}",
            17 * number
        );
        if text.len() + member.len() > PAYLOAD - 24 {
            break;
        }
        text += &member;
    }
    text + ",\"temperature\":35.25}"
}

/// Fetched with the administrator's key.
fn ticket(sockeye: &Sockeye) -> Result<String> {
    let (user, key) = &sockeye.admin;
    let body = sockeye.ask(&format!(
        "GET /kafka-ws/v1/ticket HTTP/1.1\r\nAuthorization: Bearer {user}:{key}"
    ))?;
    Ok(body["ticket"].as_str().context("no ticket")?.to_owned())
}

fn measure(load: &mut Load, server: &Server) -> Result<Outcome> {
    let plan = Plan {
        pace: Pace::WhenArrived,
        reaches: Some(SOCKETS),
        warm_up: WARM_UP,
        time: ROUND,
        server: Some(server.process()?),
    };
    load.run(&plan, |_| {})
}

fn per_event(outcome: &Outcome) -> Result<f64> {
    outcome.cpu_per_answer().context("nothing was answered")
}
