//! Many lanes that differ in one equality: an event finds its lane, it is not tried against all.

use anyhow::{Context as _, Result};
use sockeye_load::Load;

use super::measure;
use crate::{
    report::{Bar, Table, median, ratios, spread},
    sockeye::{DEVICE, Sockeye},
};

const LANES: usize = 10_000;
const IN_FLIGHT: usize = 8;

// ----------------------------------------------------------------------------------------------

pub fn run(rounds: usize, sockeye: &Sockeye, table: &mut Table) -> Result<()> {
    let (mut many, mut one) = (vec![], vec![]);
    for round in 0..rounds {
        eprintln!("lanes: round {} of {rounds}", round + 1);
        let mut load = Load::new()?;
        load.open(sockeye.target(&format!("device={DEVICE}")), 1, |_| {})?;
        one.push(per_event(sockeye, &mut load)?);
        for number in 1..LANES {
            load.open(sockeye.target(&format!("device=other-{number}")), 1, |_| {})?;
        }
        many.push(per_event(sockeye, &mut load)?);
    }
    let ratios = ratios(&many, &one);
    let [bar, verdict] = Bar::AtMost(2.0).cells(median(&ratios));
    table.row([
        format!("{LANES} lanes by device, each event in one, beside one lane"),
        format!("{:.2}", median(&many)),
        format!("{:.2}", median(&one)),
        spread(&ratios),
        bar,
        verdict,
        "HTTP publish included".to_owned(),
    ]);
    Ok(())
}

fn per_event(sockeye: &Sockeye, load: &mut Load) -> Result<f64> {
    measure(sockeye, load, IN_FLIGHT, Some(1))?
        .cpu_per_answer()
        .context("nothing was answered")
}
