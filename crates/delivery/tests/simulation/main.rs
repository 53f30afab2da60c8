//! Delivery as a whole, by chance: a log to which everything happens, clients that do everything, and a model that says
//! what each of them has to see. One thread, time that is paused, and a seed that repeats everything.
//!
//! `SIM_SEED=7` repeats one seed: see `sockeye_seeds`.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod client;
mod dialect;
mod expected;
mod fairness;
mod frame;
mod history;
mod log;
mod once;
mod pick;
mod pipe;
mod subscribed;
mod visit;
mod world;

use tokio::runtime;

use crate::world::{Tally, run};

/// Seeds in a usual run: some seconds.
const SEEDS: u64 = 2_000;

// ----------------------------------------------------------------------------------------------

#[test]
fn clients_get_what_the_log_holds() {
    let Some(sum) = sockeye_seeds::run(SEEDS, simulate) else {
        return;
    };
    let causes = [
        "client",
        "lost",
        "dead",
        "stalled",
        "trimmed",
        "gone",
        "outage",
        "stopping",
        "unauthorized",
    ];
    let missing: Vec<_> = causes.iter().filter(|cause| !sum.ends.contains_key(**cause)).collect();
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
