//! Delivery as a whole, by chance: a log to which everything happens, clients that do everything, and a model that says
//! what each of them has to see. One thread, time that is paused, and a seed that repeats everything.
//!
//! `SIM_SEED=7` runs one seed and tells what happens in it, `SIM_SEEDS=100000` that many; `SIM_FROM=1000` begins there.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod client;
mod dialect;
mod expected;
mod fairness;
mod log;
mod pipe;
mod random;
mod visit;
mod world;

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use tokio::runtime;

use crate::world::{Tally, run};

/// Seeds in a usual run: some seconds.
const SEEDS: u64 = 2_000;

thread_local! {
    /// Whether anything panicked, a task of the server included.
    static PANICKED: Cell<bool> = const { Cell::new(false) };
}

// ----------------------------------------------------------------------------------------------

#[test]
fn clients_get_what_the_log_holds() {
    watch_panics();
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
        let causes = [
            "client", "lost", "dead", "stalled", "trimmed", "gone", "outage", "stopping",
        ];
        let missing: Vec<_> = causes.iter().filter(|cause| !sum.ends.contains_key(**cause)).collect();
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
    PANICKED.set(false);
    let runtime = runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let ran = panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(run(seed, trace))));
    match ran {
        Ok(tally) if !PANICKED.get() => tally,
        _ => panic!("SIM_SEED={seed} fails"),
    }
}

fn watch_panics() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        PANICKED.set(true);
        usual(info);
    }));
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
