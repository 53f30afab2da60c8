//! One event to many sockets: CPU of the server per delivered event, as multiples of the floor.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result};
use sockeye_load::{Load, Outcome, Pace, Plan};

use crate::{
    peers::{FLOOR, Missing, Peer, SOCKEYE, UWEBSOCKETS},
    report::{Bar, Table, median, ratios, spread},
};

/// What Sockeye may cost.
pub struct Bars {
    /// As multiples of the floor, for each number of events in flight.
    pub each: [f64; 3],
    /// Another server in the same run that is not to be cheaper.
    pub peer: Option<&'static str>,
}

/// The bars without TLS.
pub const BARS: Bars = Bars {
    each: [1.1, 1.5, 1.7],
    peer: Some(UWEBSOCKETS),
};
/// Events in flight.
const IN_FLIGHT: [usize; 3] = [1, 8, 32];
const WARM_UP: Duration = Duration::from_millis(300);
const ROUND: Duration = Duration::from_millis(1500);

/// The rounds of one server at one work.
#[derive(Default)]
struct Rounds {
    cpu: Vec<f64>,
    rate: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
}

// ----------------------------------------------------------------------------------------------

/// `how`: what is special about it, for the table.
pub fn run(
    rounds: usize,
    how: &str,
    sockets: usize,
    peers: &[Peer],
    missing: &[Missing],
    bars: &Bars,
) -> Result<Table> {
    let mut measured: BTreeMap<(usize, &str), Rounds> = BTreeMap::new();
    for round in 0..rounds {
        for peer in peers {
            eprintln!(
                "fan-out to {sockets} sockets{how}: round {} of {rounds}, {}",
                round + 1,
                peer.name
            );
            for (in_flight, outcome) in measure(peer, sockets).with_context(|| peer.name)? {
                let rounds = measured.entry((in_flight, peer.name)).or_default();
                rounds
                    .cpu
                    .push(outcome.cpu_per_delivery().context("nothing was delivered")?);
                rounds.rate.push(outcome.rate());
                // Slow servers may have finished none that was sent within the measured time.
                if outcome.arrivals.count() > 0 {
                    rounds.p50.push(outcome.arrivals.at(0.5).as_secs_f64() * 1e3);
                    rounds.p99.push(outcome.arrivals.at(0.99).as_secs_f64() * 1e3);
                }
            }
        }
    }
    let work = format!("512 B to {sockets} sockets{how}");
    let mut table = Table::new([
        &work,
        "server",
        "CPU us/event",
        "x floor",
        "bar",
        "",
        "million events/s",
        "p50 ms",
        "p99 ms",
    ]);
    for (in_flight, most) in IN_FLIGHT.into_iter().zip(bars.each) {
        let floor = &measured[&(in_flight, FLOOR)].cpu;
        let peer = bars
            .peer
            .and_then(|name| measured.get(&(in_flight, name)))
            .map(|rounds| median(&ratios(&rounds.cpu, floor)));
        for name in peers.iter().map(|peer| peer.name) {
            let rounds = &measured[&(in_flight, name)];
            let own = ratios(&rounds.cpu, floor);
            let bar = match name {
                // And not above uWebSockets in the same run.
                SOCKEYE => Bar::AtMost(peer.unwrap_or(f64::INFINITY).min(most)),
                _ => Bar::None,
            };
            let [bar, verdict] = bar.cells(median(&own));
            table.row([
                format!("{in_flight} in flight"),
                name.to_owned(),
                format!("{:.2}", median(&rounds.cpu)),
                spread(&own),
                bar,
                verdict,
                format!("{:.2}", median(&rounds.rate) / 1e6),
                milliseconds(&rounds.p50),
                milliseconds(&rounds.p99),
            ]);
        }
    }
    for Missing { name, why } in missing {
        table.row([String::new(), (*name).to_owned(), format!("not measured: {why}")]);
    }
    Ok(table)
}

/// The median, where there is any.
fn milliseconds(values: &[f64]) -> String {
    if values.is_empty() {
        "-".to_owned()
    } else {
        format!("{:.2}", median(values))
    }
}

/// One round of one server: a new set of sockets, all numbers of events in flight.
fn measure(peer: &Peer, sockets: usize) -> Result<Vec<(usize, Outcome)>> {
    let mut load = Load::new()?;
    load.open(peer.target.clone(), sockets, |_| {})?;
    let plan = Plan {
        pace: Pace::WhenArrived,
        reaches: None,
        warm_up: WARM_UP,
        time: ROUND,
        server: Some(peer.server.process()?),
    };
    IN_FLIGHT
        .iter()
        .map(|in_flight| {
            load.publish(peer.publishing(*in_flight))?;
            Ok((*in_flight, load.run(&plan, |_| {})?))
        })
        .collect()
}
