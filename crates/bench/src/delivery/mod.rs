//! Sockeye beside itself: what compressed frames, many lanes, filters, stalled readers, what was missed and groups cost.

mod deflate;
mod dojot;
mod groups;
mod lanes;
mod past;
mod stalled;

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result};
use sockeye_load::{Load, Outcome, Pace, Plan, Publishing};

use crate::{report::Table, sockeye::Sockeye};

pub use dojot::FILTERS;

const WARM_UP: Duration = Duration::from_millis(500);
const ROUND: Duration = Duration::from_millis(1500);
/// Payload with which a delivered event has about 512 bytes.
const PAYLOAD: usize = 110;

// ----------------------------------------------------------------------------------------------

pub fn run(rounds: usize, binary: &Path) -> Result<Table> {
    let mut table = table("delivery");
    // Each has a server of its own: what one leaves in memory and in the log is not the other's.
    deflate::run(rounds, &Sockeye::start(binary)?, &mut table).context("deflate")?;
    lanes::run(rounds, &Sockeye::start(binary)?, &mut table).context("lanes")?;
    dojot::run(rounds, &Sockeye::start(binary)?, &mut table).context("dojot")?;
    stalled::run(rounds, &Sockeye::start(binary)?, &mut table).context("stalled readers")?;
    past::resumes(&Sockeye::start(binary)?, &mut table).context("resumes")?;
    past::backlog(&Sockeye::start(binary)?, &mut table).context("backlog")?;
    Ok(table)
}

pub fn groups(rounds: usize, binary: &Path) -> Result<Table> {
    let mut table = table("groups");
    groups::shared(rounds, &Sockeye::start(binary)?, &mut table).context("a group")?;
    groups::single(rounds, binary, &mut table).context("many groups")?;
    Ok(table)
}

pub fn table(name: &str) -> Table {
    Table::new([name, "CPU us", "beside CPU us", "ratio or CPU us", "bar", "", "remarks"])
}

/// Events in a closed loop, each to so many clients.
pub fn measure(sockeye: &Sockeye, load: &mut Load, in_flight: usize, reaches: Option<usize>) -> Result<Outcome> {
    load.publish(Publishing::http(sockeye.address, in_flight, sockeye.numbered(PAYLOAD)))?;
    let server = Some(sockeye.server.process()?);
    let plan = Plan {
        pace: Pace::WhenArrived,
        reaches,
        warm_up: WARM_UP,
        time: ROUND,
        server,
    };
    load.run(&plan, |_| {})
}

/// CPU time of the server for each delivered event, in microseconds.
pub fn per_delivery(outcome: &Outcome) -> Result<f64> {
    outcome.cpu_per_delivery().context("nothing was delivered")
}
