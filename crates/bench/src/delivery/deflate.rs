//! permessage-deflate: one compressed frame is shared by all sockets.

use anyhow::Result;
use sockeye_load::{Load, Target};

use super::{measure, per_delivery};
use crate::{
    report::{Bar, Table, median, ratios, spread},
    sockeye::Sockeye,
};

const SOCKETS: usize = 1_000;
const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";

// ----------------------------------------------------------------------------------------------

pub fn run(rounds: usize, sockeye: &Sockeye, table: &mut Table) -> Result<()> {
    let (mut on, mut off, mut bytes) = (vec![], vec![], vec![]);
    for round in 0..rounds {
        eprintln!("permessage-deflate: round {} of {rounds}", round + 1);
        for compressed in [false, true] {
            let headers = if compressed { OFFER.to_owned() } else { String::new() };
            let mut load = Load::new()?;
            load.open(
                Target {
                    headers,
                    ..sockeye.target("")
                },
                SOCKETS,
                |_| {},
            )?;
            let outcome = measure(sockeye, &mut load, 1, None)?;
            if compressed {
                on.push(per_delivery(&outcome)?);
                bytes.push(outcome.received as f64 / outcome.delivered as f64);
            } else {
                off.push(per_delivery(&outcome)?);
            }
        }
    }
    let ratios = ratios(&on, &off);
    let [bar, verdict] = Bar::AtMost(1.1).cells(median(&ratios));
    table.row([
        format!("permessage-deflate, {SOCKETS} sockets, 1 in flight, beside off"),
        format!("{:.2}", median(&on)),
        format!("{:.2}", median(&off)),
        spread(&ratios),
        bar,
        verdict,
        format!("{:.0} bytes each", median(&bytes)),
    ]);
    Ok(())
}
