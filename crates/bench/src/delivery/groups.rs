//! Groups beside subscribers without one: what receipts, and the choice of a member, cost.

use std::path::Path;

use anyhow::{Context as _, Result};
use sockeye_load::{Load, Target};

use super::{measure, per_delivery};
use crate::{
    report::Table,
    sockeye::{APPLICATION, Sockeye},
};

const BACKLOG: usize = 200_000;
const MEMBERS: usize = 4;
const GROUPS: usize = 1_000;
const IN_FLIGHT: usize = 8;

// ----------------------------------------------------------------------------------------------

/// One group that reads as fast as it can, beside one reader of the same events: publishing is no part of it.
pub fn shared(rounds: usize, sockeye: &Sockeye, table: &mut Table) -> Result<()> {
    sockeye.fill(BACKLOG)?;
    let (mut group, mut alone) = (vec![], vec![]);
    for round in 0..rounds {
        eprintln!("a group of {MEMBERS}: round {} of {rounds}", round + 1);
        let name = format!("shared-{round}");
        sockeye.run(&["group", "create", APPLICATION, &name, "--from", "earliest"])?;
        alone.push(per_event(sockeye, &sockeye.target("from=earliest"), 1)?);
        group.push(per_event(sockeye, &member(sockeye, &name), MEMBERS)?);
    }
    table.compare(
        format!("a backlog of {BACKLOG} events to a group of {MEMBERS}, beside one reader"),
        &group,
        &alone,
        1.5,
        "receipts included",
    );
    Ok(())
}

/// Many groups that have one member each, beside as many subscribers.
pub fn single(rounds: usize, binary: &Path, table: &mut Table) -> Result<()> {
    let (mut groups, mut plain) = (vec![], vec![]);
    let sockeye = Sockeye::start(binary)?;
    for round in 0..rounds {
        eprintln!("{GROUPS} groups: round {} of {rounds}", round + 1);
        let mut load = Load::new()?;
        load.open(sockeye.target(""), GROUPS, |_| {})?;
        plain.push(per_delivery(&measure(&sockeye, &mut load, IN_FLIGHT, None)?)?);
        drop(load);
        let mut load = Load::new()?;
        for number in 0..GROUPS {
            // New ones: those of the last round have not read what was published to subscribers meanwhile.
            load.open(member(&sockeye, &format!("single-{round}-{number}")), 1, |_| {})?;
        }
        groups.push(per_delivery(&measure(&sockeye, &mut load, IN_FLIGHT, None)?)?);
    }
    let memory = resident(binary, |sockeye, number| member(sockeye, &format!("idle-{number}")))?
        - resident(binary, |sockeye, _| sockeye.target(""))?;
    table.compare(
        format!("{GROUPS} groups of one member, {IN_FLIGHT} in flight, beside {GROUPS} subscribers"),
        &groups,
        &plain,
        1.3,
        &format!("{memory:.1} KiB more resident for each idle group"),
    );
    Ok(())
}

/// KiB that a new server keeps for each of so many clients that get nothing.
fn resident(binary: &Path, target: impl Fn(&Sockeye, usize) -> Target) -> Result<f64> {
    let sockeye = Sockeye::start(binary)?;
    let resident = || anyhow::Ok(sockeye.server.process()?.usage()?.resident as f64 / 1024.0);
    let mut load = Load::new()?;
    // The first one makes what all share.
    load.open(target(&sockeye, GROUPS), 1, |_| {})?;
    let before = resident()?;
    for number in 0..GROUPS {
        load.open(target(&sockeye, number), 1, |_| {})?;
    }
    Ok((resident()? - before) / GROUPS as f64)
}

/// A member, who has to say who it is: a stranger makes no groups.
fn member(sockeye: &Sockeye, group: &str) -> Target {
    Target {
        login: Some(sockeye.admin.clone()),
        ..sockeye.target(&format!("group_id={group}"))
    }
}

/// CPU time of the server for each event of the backlog, in microseconds.
fn per_event(sockeye: &Sockeye, target: &Target, clients: usize) -> Result<f64> {
    let server = sockeye.server.process()?;
    let before = server.usage()?.cpu;
    let mut load = Load::new()?;
    load.open(target.clone(), clients, |_| {})?;
    load.receive(BACKLOG as u64).context("the backlog does not arrive")?;
    let cpu = server.usage()?.cpu.saturating_sub(before);
    Ok(cpu.as_secs_f64() * 1e6 / BACKLOG as f64)
}
