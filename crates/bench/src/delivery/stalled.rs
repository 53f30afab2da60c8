//! A few readers that stall: the others must not notice.

use anyhow::Result;
use sockeye_load::Load;

use super::{measure, per_delivery};
use crate::{
    report::{Bar, Table, median, ratios, spread},
    sockeye::Sockeye,
};

const SOCKETS: usize = 5_000;
const STALLED: usize = SOCKETS / 100;
const IN_FLIGHT: usize = 32;

// ----------------------------------------------------------------------------------------------

pub fn run(rounds: usize, sockeye: &Sockeye, table: &mut Table) -> Result<()> {
    let (mut cpu, mut p99, mut resident) = ([vec![], vec![]], [vec![], vec![]], vec![]);
    for round in 0..rounds {
        eprintln!("stalled readers: round {} of {rounds}", round + 1);
        let mut load = Load::new()?;
        load.open(sockeye.target(""), SOCKETS, |_| {})?;
        for stalled in [0, STALLED] {
            load.stall(stalled)?;
            let outcome = measure(sockeye, &mut load, IN_FLIGHT, None)?;
            let at = usize::from(stalled > 0);
            cpu[at].push(per_delivery(&outcome)?);
            p99[at].push(outcome.arrivals.at(0.99).as_secs_f64() * 1e3);
            resident.push(outcome.resident.unwrap_or_default() as f64 / 1024.0 / 1024.0);
        }
    }
    let [none, some] = cpu;
    let costs = ratios(&some, &none);
    let [bar, verdict] = Bar::AtMost(1.05).cells(median(&costs));
    table.row([
        format!("{STALLED} of {SOCKETS} readers stalled, beside none"),
        format!("{:.2}", median(&some)),
        format!("{:.2}", median(&none)),
        spread(&costs),
        bar,
        verdict,
        format!("resident {:.0} to {:.0} MiB", resident[0], resident[resident.len() - 1]),
    ]);
    let [none, some] = p99;
    let times = ratios(&some, &none);
    let [bar, verdict] = Bar::AtMost(1.25).cells(median(&times));
    table.row([
        "p99 of the others (ms, not us)".to_owned(),
        format!("{:.1}", median(&some)),
        format!("{:.1}", median(&none)),
        spread(&times),
        bar,
        verdict,
        String::new(),
    ]);
    Ok(())
}
