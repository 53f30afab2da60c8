//! CPU time of the server per published event: Sockeye (device authenticated, event on disk) beside a bare hyper server
//! that reads the same requests.

use std::{path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result};
use serde_json::json;
use sockeye_load::{Load, Pace, Plan, Publishing};

use crate::{
    process::Server,
    report::{Table, median, ratios, spread},
    sockeye::Sockeye,
};

const CONNECTIONS: usize = 64;
const WARM_UP: Duration = Duration::from_millis(500);
const ROUND: Duration = Duration::from_secs(3);
const BATCH: usize = 100;

// ----------------------------------------------------------------------------------------------

pub fn run(rounds: usize, binary: &Path) -> Result<Table> {
    let mut table = Table::new([
        "HTTP publish",
        "Sockeye",
        "bare hyper server",
        "ratio",
        "Sockeye: events/s",
        "p50",
        "p99",
    ]);
    let bare = Server::start(Command::new(std::env::current_exe()?).args(["serve", "bare"]), ":")?;
    let bare_address = bare.ready.parse()?;
    let sockeye = Sockeye::start(binary)?;
    for (work, events, content_type, body) in [
        ("single events", 1, "application/json", payload().to_string()),
        (
            "batches of 100",
            BATCH,
            "application/cloudevents-batch+json",
            batch().to_string(),
        ),
    ] {
        // The same bytes to both.
        let request = sockeye.request(content_type, body.as_bytes());
        let (mut own, mut floor, mut rate, mut p50, mut p99) = (vec![], vec![], vec![], vec![], vec![]);
        for round in 0..rounds {
            eprintln!("HTTP publish, {work}: round {} of {rounds}", round + 1);
            let outcome = measure(&bare, Publishing::http(bare_address, CONNECTIONS, request.clone()))?;
            floor.push(outcome.cpu_per_answer().context("nothing was answered")? / events as f64);
            let outcome = measure(
                &sockeye.server,
                Publishing::http(sockeye.address, CONNECTIONS, request.clone()),
            )?;
            own.push(outcome.cpu_per_answer().context("nothing was answered")? / events as f64);
            rate.push(outcome.answered as f64 * events as f64 / outcome.time.as_secs_f64());
            p50.push(outcome.answers.at(0.5).as_secs_f64() * 1e3);
            p99.push(outcome.answers.at(0.99).as_secs_f64() * 1e3);
        }
        table.row([
            work.to_owned(),
            format!("{:.2} us CPU/event", median(&own)),
            format!("{:.2} us CPU/event", median(&floor)),
            spread(&ratios(&own, &floor)),
            format!("{:.0}", median(&rate)),
            format!("{:.1} ms", median(&p50)),
            format!("{:.1} ms", median(&p99)),
        ]);
    }
    Ok(table)
}

fn measure(server: &Server, publishing: Publishing) -> Result<sockeye_load::Outcome> {
    let mut load = Load::new()?;
    load.publish(publishing)?;
    let plan = Plan {
        pace: Pace::WhenArrived,
        reaches: None,
        warm_up: WARM_UP,
        time: ROUND,
        server: Some(server.process()?),
    };
    load.run(&plan, |_| {})
}

/// 300 bytes of JSON, as a sensor sends them.
fn payload() -> serde_json::Value {
    json!({ "temperature": 21.5, "humidity": 40.25, "battery": 3.71, "note": "x".repeat(230) })
}

/// Ids repeat from batch to batch: who publishes is not who checks them.
fn batch() -> serde_json::Value {
    (0..BATCH)
        .map(|number| {
            json!({ "specversion": "1.0", "id": number.to_string(), "type": "t", "source": "/",
                    "datacontenttype": "application/json", "data": payload() })
        })
        .collect()
}
