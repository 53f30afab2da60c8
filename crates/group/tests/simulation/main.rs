//! A group by chance: a log that grows and is trimmed, members with all habits, a server that dies anywhere, and a model that
//! says after every step what the group may and must have done. No I/O, no threads within a run, time that is made up.
//!
//! `SIM_SEED=7` runs one seed and tells what happens in it, `SIM_SEEDS=100000` that many; `SIM_FROM=1000` begins there.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod client;
mod log;
mod model;
mod random;
mod tally;
mod world;

use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use crate::tally::Tally;
use crate::world::run;

/// Seeds in a usual run: some seconds.
const SEEDS: u64 = 300;

// ----------------------------------------------------------------------------------------------

#[test]
fn groups_lose_nothing() {
    if let Some(seed) = number("SIM_SEED") {
        println!("{:#?}", check(seed, true));
        return;
    }
    let (from, seeds) = (number("SIM_FROM").unwrap_or(0), number("SIM_SEEDS").unwrap_or(SEEDS));
    let (next, start) = (AtomicU64::new(from), Instant::now());
    let work = || {
        let mut sum = Tally::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from + seeds {
                return sum;
            }
            sum += check(seed, false);
        }
    };
    let sum = thread::scope(|scope| {
        let threads: Vec<_> = (0..thread::available_parallelism().map_or(1, usize::from))
            .map(|_| scope.spawn(work))
            .collect();
        let mut sum = Tally::default();
        for thread in threads {
            sum += thread.join().expect("no seed fails");
        }
        sum
    });
    let rate = seeds as f64 / start.elapsed().as_secs_f64();
    println!("{seeds} seeds in {:.1?}, {rate:.0} a second: {sum:#?}", start.elapsed());
    if seeds >= SEEDS {
        let missing = sum.missing();
        assert!(missing.is_empty(), "never happened: {missing:?}");
    }
}

#[test]
fn a_seed_repeats_everything() {
    for seed in 0..20 {
        assert_eq!(check(seed, false), check(seed, false), "seed {seed}");
    }
}

/// Runs a seed; says which one it was if it fails.
fn check(seed: u64, trace: bool) -> Tally {
    panic::catch_unwind(AssertUnwindSafe(|| run(seed, trace))).unwrap_or_else(|_| panic!("SIM_SEED={seed} fails"))
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
