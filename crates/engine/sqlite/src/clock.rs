//! Two times of a record: when it was appended, by the wall clock; and how old it is, by a clock that cannot jump.
//!
//! The append time never decreases: while the wall clock is behind the last record, records get the last one's time.
//!
//! Retention does not ask the wall clock: a clock that jumps a year ahead must not remove what came in a minute ago. Every
//! chunk carries its *age mark*, a count of milliseconds that runs with the machine's uptime and goes on from the last
//! chunk's mark at the next start. How long the server was down in between only the wall clock can tell: an hour after the
//! start ([`limits::CLOCK_SETTLES`]), when NTP has had its time to set it, that is noted as a [`Pause`], by which older
//! chunks age.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, params};
use sockeye_limits as limits;

/// Where the engine reads the time; tests have one of their own.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// The time of day; may jump.
    fn wall(&self) -> Timestamp;

    /// Time since some fixed moment; never jumps, and goes on while the machine sleeps.
    fn uptime(&self) -> Duration;
}

/// The machine's clocks.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

/// What an append is stamped with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Append time, in microseconds since 1970.
    pub(crate) time: i64,
    /// Age mark, in milliseconds.
    pub(crate) mark: i64,
}

/// Time that the server was down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pause {
    /// The age mark of the start after it: what has a lower one is older by the pause.
    pub(crate) mark: i64,
    /// Milliseconds.
    pub(crate) length: i64,
}

/// Tells ages by age marks.
#[derive(Clone, Debug)]
pub(crate) struct Ages {
    now: i64,
    pauses: Arc<[Pause]>,
}

/// Turns the two clocks into [`Moment`]s and [`Ages`].
#[derive(Debug)]
pub(crate) struct Stamps {
    /// That of the newest record.
    last: Moment,
    opened: Reading,
    /// The age mark of the start.
    start: i64,
    /// When the newest record was appended before the start, as long as the clock is not trusted to tell the pause since.
    previous: Option<i64>,
    pauses: Arc<[Pause]>,
}

/// Both clocks, read at once: microseconds of the wall clock, milliseconds of uptime.
#[derive(Clone, Copy, Debug)]
struct Reading {
    wall: i64,
    uptime: i64,
}

// ----------------------------------------------------------------------------------------------

impl Clock for SystemClock {
    fn wall(&self) -> Timestamp {
        Timestamp::now()
    }

    fn uptime(&self) -> Duration {
        #[cfg(target_os = "linux")]
        let id = rustix::time::ClockId::Boottime;
        #[cfg(not(target_os = "linux"))]
        let id = rustix::time::ClockId::Monotonic;
        let time = rustix::time::clock_gettime(id);
        Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
    }
}

impl Reading {
    fn of(clock: &dyn Clock) -> Self {
        Self {
            wall: clock.wall().as_microsecond(),
            uptime: clock.uptime().as_millis() as i64,
        }
    }
}

impl Ages {
    /// How old what has this age mark is, in milliseconds.
    pub(crate) fn of(&self, mark: i64) -> i64 {
        let pauses = self
            .pauses
            .iter()
            .filter(|pause| pause.mark > mark)
            .map(|pause| pause.length);
        pauses.fold(self.now - mark, i64::saturating_add)
    }
}

impl Stamps {
    /// Goes on after the newest record of the file, and the pauses that were noted in it.
    pub(crate) fn new(previous: Option<Moment>, pauses: Vec<Pause>, clock: &dyn Clock) -> Self {
        let start = previous.map_or(0, |previous| previous.mark + 1);
        Self {
            last: Moment {
                time: previous.map_or(i64::MIN, |previous| previous.time),
                mark: start,
            },
            opened: Reading::of(clock),
            start,
            previous: previous.map(|previous| previous.time),
            pauses: pauses.into(),
        }
    }

    /// Now; and the pause before the start, when it has just become known.
    pub(crate) fn now(&mut self, clock: &dyn Clock) -> (Moment, Option<Pause>) {
        let now = Reading::of(clock);
        let up = (now.uptime - self.opened.uptime).max(0);
        self.last = Moment {
            time: now.wall.max(self.last.time),
            mark: (self.start + up).max(self.last.mark),
        };
        let settled = up >= limits::CLOCK_SETTLES.as_millis() as i64;
        let pause = self.previous.take_if(|_| settled).map(|previous| Pause {
            mark: self.start,
            length: (now.wall - previous) / 1_000 - up,
        });
        let pause = pause.filter(|pause| pause.length > 0);
        if let Some(pause) = pause {
            // One at the same mark was noted by a run without records, which is a part of this pause.
            let others = self.pauses.iter().copied().filter(|other| other.mark != pause.mark);
            self.pauses = others.chain([pause]).collect();
        }
        (self.last, pause)
    }

    /// The ages of now.
    pub(crate) fn ages(&self) -> Ages {
        Ages {
            now: self.last.mark,
            pauses: self.pauses.clone(),
        }
    }
}

impl Pause {
    /// The pauses that are noted in the file.
    pub(crate) fn load(connection: &Connection) -> rusqlite::Result<Vec<Self>> {
        let pause = |row: &rusqlite::Row<'_>| {
            Ok(Self {
                mark: row.get(0)?,
                length: row.get(1)?,
            })
        };
        connection
            .prepare("SELECT mark, length FROM pauses ORDER BY mark")?
            .query_map([], pause)?
            .collect()
    }

    /// Notes it in the file, and forgets those that nothing is older than.
    pub(crate) fn store(self, connection: &Connection) -> rusqlite::Result<()> {
        connection.execute(
            "DELETE FROM pauses WHERE mark <= (SELECT mark FROM chunks ORDER BY first LIMIT 1)",
            [],
        )?;
        connection.execute(
            "INSERT OR REPLACE INTO pauses (mark, length) VALUES (?1, ?2)",
            params![self.mark, self.length],
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Debug)]
    struct Hands(Mutex<(i64, i64)>);

    impl Clock for Hands {
        fn wall(&self) -> Timestamp {
            Timestamp::from_second(self.0.lock().unwrap().0).unwrap()
        }

        fn uptime(&self) -> Duration {
            Duration::from_secs(self.0.lock().unwrap().1 as u64)
        }
    }

    /// After a record of (time, mark) 0: readings of (wall, uptime), and what they give: the time, the age of that record
    /// and the age of one that is appended at the first reading. All in seconds.
    fn check(previous: i64, readings: &[(i64, i64)], expected: &[(i64, i64, i64)]) {
        let clock = Hands(Mutex::new(readings[0]));
        let previous = Moment {
            time: previous * 1_000_000,
            mark: 70_000,
        };
        let mut stamps = Stamps::new(Some(previous), Vec::new(), &clock);
        let first = stamps.now(&clock).0.mark;
        for (reading, expected) in readings.iter().zip(expected) {
            *clock.0.lock().unwrap() = *reading;
            let (moment, _) = stamps.now(&clock);
            let age = |mark| stamps.ages().of(mark) / 1_000;
            let found = (moment.time / 1_000_000, age(previous.mark), age(first));
            assert_eq!(found, *expected, "at {reading:?}");
        }
    }

    const YEAR: i64 = 31_536_000;

    #[test]
    fn time_follows_the_wall_clock_and_age_the_uptime() {
        check(990, &[(1000, 5), (1001, 6)], &[(1000, 0, 0), (1001, 1, 1)]);
    }

    #[test]
    fn a_wall_clock_that_jumps_ages_nothing() {
        check(
            1000,
            &[(1000, 0), (1000 + YEAR, 1), (1002, 2), (500, 3)],
            &[
                (1000, 0, 0),
                (1000 + YEAR, 1, 1),
                (1000 + YEAR, 2, 2),
                (1000 + YEAR, 3, 3),
            ],
        );
        // Wrong at the start, corrected within the hour.
        check(
            900,
            &[(900 + YEAR, 0), (910, 10), (4_500, 3_600)],
            &[(900 + YEAR, 0, 0), (900 + YEAR, 10, 10), (900 + YEAR, 3_600, 3_600)],
        );
    }

    #[test]
    fn downtime_ages_what_is_older_when_the_clock_has_settled() {
        check(
            900,
            &[(10_900, 0), (14_499, 3_599), (14_500, 3_600), (99_999, 3_601)],
            &[
                (10_900, 0, 0),
                (14_499, 3_599, 3_599),
                (14_500, 13_600, 3_600),
                (99_999, 13_601, 3_601),
            ],
        );
    }

    #[test]
    fn a_run_without_records_is_a_part_of_the_pause() {
        let clock = Hands(Mutex::new((10_000, 0)));
        let previous = Moment { time: 0, mark: 70_000 };
        let noted = vec![Pause {
            mark: 70_001,
            length: 5_000_000,
        }];
        let mut stamps = Stamps::new(Some(previous), noted, &clock);
        assert_eq!(stamps.now(&clock).1, None);
        assert_eq!(stamps.ages().of(70_000), 5_000_001);
        *clock.0.lock().unwrap() = (13_600, 3_600);
        let pause = Pause {
            mark: 70_001,
            length: 10_000_000,
        };
        assert_eq!(stamps.now(&clock).1, Some(pause));
        assert_eq!(stamps.ages().of(70_000), 13_600_001);
    }

    #[test]
    fn pauses_are_noted_as_long_as_something_is_older() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch("CREATE TABLE chunks (first, mark); CREATE TABLE pauses (mark UNIQUE, length); INSERT INTO chunks VALUES (1, 20)")
            .unwrap();
        let pauses = [(10, 1), (20, 2), (30, 3), (40, 4)].map(|(mark, length)| Pause { mark, length });
        for pause in pauses {
            pause.store(&connection).unwrap();
        }
        let noted = Pause::load(&connection).unwrap();
        assert_eq!(noted, pauses[2..]);
        let stamps = Stamps::new(Some(Moment { time: 0, mark: 50 }), noted, &Hands(Mutex::new((0, 0))));
        let ages = [20, 35, 50].map(|mark| stamps.ages().of(mark));
        assert_eq!(ages, [51 - 20 + 3 + 4, 51 - 35 + 4, 1]);
    }
}
