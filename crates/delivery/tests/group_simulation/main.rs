//! Groups in delivery, by chance: a log and a store of positions to which everything happens, members that come, go, stall and
//! lie, servers that die between append, delivery, receipt and commit; and a model that says what none of this may do: lose an
//! event, deliver again what is durable, mix up the order of a device.
//!
//! `SIM_SEED=7` repeats one seed: see `sockeye_seeds`.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]
#![allow(dead_code, reason = "the log and the pipe can more than groups need")]

mod client;
mod dialect;
#[path = "../simulation/frame.rs"]
mod frame;
#[path = "../simulation/history.rs"]
mod history;
#[path = "../simulation/log.rs"]
mod log;
#[path = "../simulation/pick.rs"]
mod pick;
#[path = "../simulation/pipe.rs"]
mod pipe;
mod positions;
mod truth;
mod visit;
mod world;

use tokio::runtime;

use crate::world::{Tally, run};

/// Seeds in a usual run: some seconds.
const SEEDS: u64 = 300;

// ----------------------------------------------------------------------------------------------

#[test]
fn groups_lose_nothing() {
    let Some(sum) = sockeye_seeds::run(SEEDS, simulate) else {
        return;
    };
    let missing = sum.missing();
    assert!(missing.is_empty(), "never happened: {missing:?}");
}

#[test]
fn a_seed_repeats_everything() {
    sockeye_seeds::repeat(20, |seed| simulate(seed, false));
}

fn simulate(seed: u64, trace: bool) -> Tally {
    let runtime = runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(run(seed, trace))
}
