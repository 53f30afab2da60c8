//! Sockets on which nothing happens: memory of each, and what it costs to keep them alive.

use std::time::Duration;

use anyhow::{Context as _, Result};
use sockeye_load::{Load, Pace, Plan};

use crate::{
    peers::{Missing, Peer, SOCKEYE},
    report::{Bar, Table},
};

const SOCKETS: usize = 15_000;
/// Long enough for several Pings to each.
const TIME: Duration = Duration::from_secs(15);
/// Resident memory of a socket, in KiB.
const RESIDENT: f64 = 6.0;

// ----------------------------------------------------------------------------------------------

/// Memory does not come back: each server is asked once, and must be fresh.
pub fn run(peers: &[Peer], missing: &[Missing]) -> Result<Table> {
    let work = format!("{SOCKETS} idle sockets");
    let mut table = Table::new([&work, "KiB resident each", "bar", "", "CPU % of a core, Pings included"]);
    for peer in peers {
        eprintln!("{work}: {}", peer.name);
        let process = peer.server.process()?;
        let before = process.usage()?.resident;
        let mut load = Load::new()?;
        load.open(peer.target.clone(), SOCKETS, |_| {})
            .with_context(|| peer.name)?;
        let plan = Plan {
            pace: Pace::WhenArrived,
            reaches: None,
            warm_up: Duration::ZERO,
            time: TIME,
            server: Some(process),
        };
        let outcome = load.run(&plan, |_| {}).with_context(|| peer.name)?;
        let after = outcome.resident.context("the server has no memory")?;
        let each = after.saturating_sub(before) as f64 / SOCKETS as f64 / 1024.0;
        let cpu = outcome.cpu.unwrap_or_default().as_secs_f64() / outcome.time.as_secs_f64();
        let [bar, verdict] = if peer.name == SOCKEYE {
            Bar::AtMost(RESIDENT)
        } else {
            Bar::None
        }
        .cells(each);
        table.row([
            peer.name.to_owned(),
            format!("{each:.1}"),
            bar,
            verdict,
            format!("{:.2}", cpu * 100.0),
        ]);
    }
    for Missing { name, why } in missing {
        table.row([(*name).to_owned(), format!("not measured: {why}")]);
    }
    Ok(table)
}
