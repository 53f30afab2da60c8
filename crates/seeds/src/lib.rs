//! What simulations share: chance that a seed repeats, and many seeds on all cores.
//!
//! `SIM_SEED=7` runs one seed and tells what happens in it, `SIM_SEEDS=100000` that many, and how far it is on standard error;
//! `SIM_FROM=1000` begins there.

mod random;

pub use random::Random;

use std::cell::Cell;
use std::fmt::Debug;
use std::io::{self, Write as _};
use std::ops::AddAssign;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// How far a long run is.
#[derive(Default)]
struct Progress {
    done: AtomicU64,
    failed: AtomicU64,
}

thread_local! {
    /// Whether anything panicked, a task that nobody waits for included.
    static PANICKED: Cell<bool> = const { Cell::new(false) };
}

/// After so many nothing new is learned.
const FAILURES: u64 = 10;
/// Between two lines of a long run.
const PROGRESS: Duration = Duration::from_secs(5);

// ----------------------------------------------------------------------------------------------

/// Simulates as many seeds as the environment asks for, `usual` ones if it does not. What came of all of them together;
/// `None` if they were fewer than usual, so that things need not have happened that usually do.
///
/// # Panics
/// If a seed does; then the numbers of all that do are told, as far as they are few.
#[allow(clippy::print_stdout, reason = "people look at what came of a run")]
pub fn run<T>(usual: u64, simulate: impl Fn(u64, bool) -> T + Sync) -> Option<T>
where
    T: Default + AddAssign + Debug + Send,
{
    if let Some(seed) = number("SIM_SEED") {
        println!("{:#?}", check(seed, |seed| simulate(seed, true)));
        return None;
    }
    let (from, seeds) = (number("SIM_FROM").unwrap_or(0), number("SIM_SEEDS").unwrap_or(usual));
    let (next, start, progress) = (AtomicU64::new(from), Instant::now(), Progress::default());
    let work = || {
        let mut sum = T::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from + seeds || progress.failed.load(Ordering::Relaxed) >= FAILURES {
                return sum;
            }
            match panic::catch_unwind(AssertUnwindSafe(|| check(seed, |seed| simulate(seed, false)))) {
                Ok(one) => sum += one,
                Err(_) => drop(progress.failed.fetch_add(1, Ordering::Relaxed)),
            }
            progress.done.fetch_add(1, Ordering::Relaxed);
        }
    };
    let mut sum = T::default();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..thread::available_parallelism().map_or(1, usize::from))
            .map(|_| scope.spawn(work))
            .collect();
        // Dropped when all is done.
        let (_running, over) = mpsc::sync_channel(0);
        if seeds > usual {
            let progress = &progress;
            scope.spawn(move || progress.tell(seeds, start, &over));
        }
        for thread in threads {
            sum += thread.join().expect("what fails is caught");
        }
    });
    let failed = progress.failed.into_inner();
    assert!(failed == 0, "{failed} seeds fail, as told above");
    let rate = seeds as f64 / start.elapsed().as_secs_f64();
    println!("{seeds} seeds in {:.1?}, {rate:.0} a second: {sum:#?}", start.elapsed());
    (seeds >= usual).then_some(sum)
}

impl Progress {
    /// Says how far it is until it is over; past what captures the output of tests.
    fn tell(&self, seeds: u64, start: Instant, over: &mpsc::Receiver<()>) {
        while over.recv_timeout(PROGRESS) == Err(RecvTimeoutError::Timeout) {
            // Nobody may look.
            let _ = writeln!(io::stderr(), "{}", self.line(seeds, start.elapsed()));
        }
    }

    fn line(&self, seeds: u64, took: Duration) -> String {
        let (done, failed) = (self.done.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed));
        let rate = done as f64 / took.as_secs_f64();
        format!("{done} of {seeds} seeds, {rate:.0} a second, {failed} failed")
    }
}

/// Simulates some seeds twice: all of a run has to be repeated.
///
/// # Panics
/// If a seed does, or is not repeated.
pub fn repeat<T: PartialEq + Debug>(seeds: u64, simulate: impl Fn(u64) -> T) {
    for seed in 0..seeds {
        assert_eq!(check(seed, &simulate), check(seed, &simulate), "seed {seed}");
    }
}

/// Simulates one seed; says which one it was if it fails.
fn check<T>(seed: u64, simulate: impl Fn(u64) -> T) -> T {
    watch_panics();
    PANICKED.set(false);
    match panic::catch_unwind(AssertUnwindSafe(|| simulate(seed))) {
        Ok(result) if !PANICKED.get() => result,
        _ => panic!("SIM_SEED={seed} fails"),
    }
}

/// A runtime catches what a task panics with.
fn watch_panics() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            PANICKED.set(true);
            usual(info);
        }));
    });
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_seeds_are_simulated_once() {
        let sum = run(100, |seed, _| seed);
        assert_eq!(sum, Some((0..100).sum()));
    }

    #[test]
    fn all_that_fail_are_found_if_they_are_few() {
        for (failing, found) in [(3, 3), (100, FAILURES)] {
            let simulate = |seed, _| assert!(seed >= failing, "as intended");
            #[derive(Debug, Default)]
            struct Nothing;
            impl AddAssign for Nothing {
                fn add_assign(&mut self, _: Self) {}
            }
            let run = panic::catch_unwind(|| {
                run(100, |seed, trace| {
                    simulate(seed, trace);
                    Nothing
                })
            });
            let said = run.expect_err("it fails");
            let said = said.downcast_ref::<String>().unwrap();
            let count: u64 = said.split(' ').next().unwrap().parse().unwrap();
            // Who was at one when the last of them failed tells of it too.
            assert!((found..found + 64).contains(&count), "{said}");
        }
    }

    #[test]
    fn how_far_it_is() {
        let progress = Progress::default();
        progress.done.store(90, Ordering::Relaxed);
        progress.failed.store(1, Ordering::Relaxed);
        let line = progress.line(1_000, Duration::from_secs(10));
        assert_eq!(line, "90 of 1000 seeds, 9 a second, 1 failed");
        // Who tells of it ends with the run.
        let (running, over) = mpsc::sync_channel(0);
        drop(running);
        progress.tell(1_000, Instant::now(), &over);
    }

    #[test]
    fn the_seed_that_fails_is_named() {
        for hidden in [false, true] {
            let fails = |seed| {
                if seed == 7 {
                    let caught = panic::catch_unwind(|| panic!("as intended"));
                    assert!(hidden || caught.is_ok(), "as intended");
                }
            };
            check(6, fails);
            let failed = panic::catch_unwind(|| check(7, fails)).expect_err("it fails");
            assert_eq!(
                failed.downcast_ref::<String>().map(String::as_str),
                Some("SIM_SEED=7 fails")
            );
        }
    }

    #[test]
    fn a_run_that_is_not_repeated_fails() {
        repeat(3, |seed| seed);
        let runs = Cell::new(0);
        let differs = AssertUnwindSafe(|| {
            repeat(1, |_| {
                runs.set(runs.get() + 1);
                runs.get()
            });
        });
        assert!(panic::catch_unwind(differs).is_err());
    }
}
