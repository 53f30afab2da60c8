//! What was missed: many short resumes at once, and one long backlog.

use std::time::Duration;

use anyhow::{Context as _, Result};
use sockeye_load::{Load, Storms, Target};

use super::PAYLOAD;
use crate::{
    report::{Bar, Table},
    sockeye::{APPLICATION, Sockeye},
};

const RESUMES: usize = 5_000;
const MISSED: usize = 10;
/// Time for storms of resumes: a few of them.
const STORMS: Duration = Duration::from_secs(5);
const BACKLOG: usize = 1_000_000;

// ----------------------------------------------------------------------------------------------

pub fn resumes(sockeye: &Sockeye, table: &mut Table) -> Result<()> {
    eprintln!("{RESUMES} resumes");
    let storms = Storms {
        target: Target::new(sockeye.address, format!("/{APPLICATION}")),
        clients: RESUMES,
        missed: MISSED,
        payload: PAYLOAD,
        publish: sockeye.requests(),
        server: Some(sockeye.server.process()?),
    };
    let resumed = storms.run(STORMS, |_, _| {})?;
    row(
        table,
        format!("{RESUMES} resumes at once from cursors, {MISSED} events each, all gapless, CPU us each"),
        resumed.cpu_per_resume().context("the server used no CPU time")?,
        80.0,
        format!(
            "{} storms, everybody back within {:.0} ms (median)",
            resumed.storms,
            resumed.everybody.at(0.5).as_secs_f64() * 1e3
        ),
    );
    Ok(())
}

pub fn backlog(sockeye: &Sockeye, table: &mut Table) -> Result<()> {
    eprintln!("a backlog of {BACKLOG} events");
    sockeye.fill(BACKLOG)?;
    let server = sockeye.server.process()?;
    let before = server.usage()?.cpu;
    let mut load = Load::new()?;
    load.open(sockeye.target("from=earliest"), 1, |_| {})?;
    load.receive(BACKLOG as u64)?;
    let cpu = server.usage()?.cpu.saturating_sub(before);
    row(
        table,
        format!("a backlog of {BACKLOG} events to one reader, CPU us each"),
        cpu.as_secs_f64() * 1e6 / BACKLOG as f64,
        3.0,
        "one round".to_owned(),
    );
    Ok(())
}

fn row(table: &mut Table, work: String, each: f64, most: f64, remark: String) {
    let [bar, verdict] = Bar::AtMost(most).cells(each);
    table.row([
        work,
        format!("{each:.2}"),
        String::new(),
        format!("{each:.2}"),
        bar,
        verdict,
        remark,
    ]);
}
