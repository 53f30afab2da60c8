//! The timer wheel of a core: pings and deadlines of all its connections, in one task.
//!
//! A connection has no timer of its own, and its task is not woken for a Ping: the wheel visits the connection when
//! something is due, and writes the Ping itself. That way a Ping costs a system call and little else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use sockeye_limits as limits;
use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

/// The way to a wheel.
#[derive(Clone)]
pub(crate) struct Wheel(Arc<Shared>);

/// What a wheel knows of a connection.
pub(crate) trait Visited: Send + Sync {
    /// Does what is due now. When the next visit is wanted; `None`: none any more.
    fn visit(&self, now: Instant) -> Option<Instant>;
}

struct Shared {
    slots: Mutex<Slots>,
    /// Told when the first slot is another one.
    news: Notify,
}

struct Slots {
    /// When the ticks are counted from.
    began: Instant,
    /// Who is to be visited at which tick. A connection that has ended is not held: it is missed when it would be visited.
    due: BTreeMap<u32, Vec<Weak<dyn Visited>>>,
}

// ----------------------------------------------------------------------------------------------

impl Wheel {
    /// A wheel, and the task that has to run on its core. The task has no end of its own.
    pub(crate) fn new() -> (Self, impl Future<Output = ()> + Send + 'static) {
        let slots = Slots {
            began: Instant::now(),
            due: BTreeMap::new(),
        };
        let wheel = Self(Arc::new(Shared {
            slots: Mutex::new(slots),
            news: Notify::new(),
        }));
        // Writing to many sockets is what the task is for: it yields by itself.
        let task = tokio::task::unconstrained(wheel.clone().turn());
        (wheel, task)
    }

    /// Visits a connection at the first tick that is not before `at`.
    pub(crate) fn put(&self, at: Instant, visited: Weak<dyn Visited>) {
        if self.lock().put(at, visited) {
            self.0.news.notify_one();
        }
    }

    async fn turn(self) {
        loop {
            let first = self.lock().first();
            match first {
                None => self.0.news.notified().await,
                Some(at) => tokio::select! {
                    biased;
                    () = sleep_until(at) => self.visit().await,
                    () = self.0.news.notified() => {}
                },
            }
        }
    }

    /// Visits all whose time has come; after each few, others have their turn.
    async fn visit(&self) {
        let now = Instant::now();
        let due = self.lock().take(now);
        for some in due.chunks(limits::WRITES_PER_TURN) {
            let now = Instant::now();
            for visited in some {
                let next = visited.upgrade().and_then(|connection| connection.visit(now));
                if let Some(next) = next {
                    self.lock().put(next, Weak::clone(visited));
                }
            }
            yield_now().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.0.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slots {
    /// Whether the first slot is another one now.
    fn put(&mut self, at: Instant, visited: Weak<dyn Visited>) -> bool {
        let tick = self.tick(at);
        let is_first = self.due.first_key_value().is_none_or(|(first, _)| tick < *first);
        self.due.entry(tick).or_default().push(visited);
        is_first
    }

    /// When the first slot is due.
    fn first(&self) -> Option<Instant> {
        let (tick, _) = self.due.first_key_value()?;
        Some(self.began + limits::WHEEL_TICK * *tick)
    }

    /// Takes all that is due.
    fn take(&mut self, now: Instant) -> Vec<Weak<dyn Visited>> {
        let mut taken = Vec::new();
        while self.first().is_some_and(|first| first <= now)
            && let Some((_, mut due)) = self.due.pop_first()
        {
            taken.append(&mut due);
        }
        taken
    }

    /// The first tick that is not before this time. (2^32 ticks are 13 years.)
    fn tick(&self, at: Instant) -> u32 {
        let ticks = (at - self.began).as_nanos().div_ceil(limits::WHEEL_TICK.as_nanos());
        u32::try_from(ticks).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{advance, sleep};

    use super::*;

    /// Notes its visits, and wants another one after each of these pauses.
    struct Guest {
        visits: Mutex<Vec<Instant>>,
        pauses: Mutex<Vec<Duration>>,
    }

    impl Guest {
        fn new(pauses: &[u64]) -> Arc<Self> {
            let pauses = pauses.iter().rev().map(|pause| Duration::from_millis(*pause));
            Arc::new(Self {
                visits: Mutex::default(),
                pauses: Mutex::new(pauses.collect()),
            })
        }

        fn visits_since(&self, start: Instant) -> Vec<u128> {
            let visits = self.visits.lock().unwrap();
            visits.iter().map(|visit| (*visit - start).as_millis()).collect()
        }
    }

    impl Visited for Guest {
        fn visit(&self, now: Instant) -> Option<Instant> {
            self.visits.lock().unwrap().push(now);
            Some(now + self.pauses.lock().unwrap().pop()?)
        }
    }

    fn put(wheel: &Wheel, at: Instant, guest: &Arc<Guest>) {
        let guest: Weak<Guest> = Arc::downgrade(guest);
        wheel.put(at, guest);
    }

    #[tokio::test(start_paused = true)]
    async fn everybody_is_visited_at_the_first_tick_that_is_not_too_early() {
        let start = Instant::now();
        let (wheel, task) = Wheel::new();
        let task = tokio::spawn(task);
        let (steady, once, early) = (
            Guest::new(&[5_000, 5_000, 60_000]),
            Guest::new(&[]),
            Guest::new(&[250, 0]),
        );
        put(&wheel, start + Duration::from_secs(5), &steady);
        put(&wheel, start + Duration::from_millis(5_001), &once);
        sleep(Duration::from_secs(1)).await;
        // Before the one for which the wheel waits.
        put(&wheel, Instant::now() + Duration::from_millis(30), &early);
        sleep(Duration::from_mins(2)).await;
        assert_eq!(steady.visits_since(start), [5_000, 10_000, 15_000, 75_000]);
        assert_eq!(once.visits_since(start), [5_100]);
        assert_eq!(early.visits_since(start), [1_100, 1_400, 1_400]);
        assert!(wheel.lock().due.is_empty() && !task.is_finished());
        // What comes after a rest is visited too.
        let late = Guest::new(&[]);
        put(&wheel, Instant::now(), &late);
        sleep(Duration::from_secs(1)).await;
        assert_eq!(late.visits_since(start), [121_000]);
    }

    /// A core that was busy makes up for what was due meanwhile; who has ended is not held.
    #[tokio::test(start_paused = true)]
    async fn a_late_wheel_visits_each_once_and_forgets_who_has_ended() {
        let start = Instant::now();
        let (wheel, task) = Wheel::new();
        let guests: Vec<_> = (0..1_000).map(|_| Guest::new(&[])).collect();
        for (number, guest) in guests.iter().enumerate() {
            put(&wheel, start + Duration::from_millis(number as u64), guest);
        }
        let ended = Guest::new(&[]);
        put(&wheel, start, &ended);
        let ended = Arc::try_unwrap(ended).ok().expect("the wheel does not hold it");
        advance(Duration::from_secs(3)).await;
        tokio::spawn(task);
        sleep(Duration::from_secs(1)).await;
        assert!(guests.iter().all(|guest| guest.visits_since(start) == [3_000]));
        assert!(ended.visits_since(start).is_empty() && wheel.lock().due.is_empty());
    }
}
