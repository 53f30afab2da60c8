//! A group by chance: a log that grows and is trimmed, members with all habits, a server that dies anywhere, and a model that
//! says after every step what the group may and must have done. No I/O, no threads within a run, time that is made up.
//!
//! `SIM_SEED=7` repeats one seed: see `sockeye_seeds`.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod client;
mod log;
mod model;
mod tally;
mod world;

use crate::world::run;

/// Seeds in a usual run: some seconds.
const SEEDS: u64 = 300;

// ----------------------------------------------------------------------------------------------

#[test]
fn groups_lose_nothing() {
    let Some(sum) = sockeye_seeds::run(SEEDS, run) else {
        return;
    };
    let missing = sum.missing();
    assert!(missing.is_empty(), "never happened: {missing:?}");
}

#[test]
fn a_seed_repeats_everything() {
    sockeye_seeds::repeat(20, |seed| run(seed, false));
}
