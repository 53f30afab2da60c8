//! What the watch knows of Kafka, and when its clients are told of the brokers again.
//!
//! An outage begins when a client says that all brokers are lost, or has no answer; it ends when [`Pulse`](crate::pulse::Pulse) has
//! one. Then all others are [reminded](crate::native::remind), and again with the next looks: Kafka may answer one while another has
//! yet to ask, and to forget.

use std::{
    mem,
    time::{Duration, Instant},
};

use sockeye_limits as limits;

/// Without a clock: times are given.
#[derive(Debug)]
pub(super) struct Outage {
    is_on: bool,
    /// Kafka was asked, and has not answered.
    is_away: bool,
    /// Kafka is not asked again before.
    not_before: Instant,
    /// Between two questions. What a client is told again it keeps for as long as it lives: less often where it does not help.
    pause: Duration,
    /// Looks until clients are no longer reminded.
    reminders: u32,
}

/// Looks behind an outage with which clients are reminded: who has forgotten since is met by then.
const REMINDERS: u32 = 5;

// ----------------------------------------------------------------------------------------------

impl Outage {
    pub(super) fn none(now: Instant) -> Self {
        Self {
            is_on: false,
            is_away: false,
            not_before: now,
            pause: limits::KAFKA_AWAY_LOOK,
            reminders: 0,
        }
    }

    /// A client has lost all brokers, or Kafka did not say what its topics are.
    pub(super) fn begins(&mut self) {
        self.is_on = true;
    }

    pub(super) fn is_on(&self) -> bool {
        self.is_on
    }

    /// Whether it is time to ask Kafka.
    pub(super) fn is_time(&self, now: Instant) -> bool {
        self.is_on && now >= self.not_before
    }

    /// It has not answered; whether that is news.
    pub(super) fn goes_on(&mut self, now: Instant) -> bool {
        self.not_before = now + limits::KAFKA_AWAY_LOOK;
        !mem::replace(&mut self.is_away, true)
    }

    /// It has: all clients are to be reminded. Whether it had not before.
    pub(super) fn ends(&mut self, now: Instant) -> bool {
        self.is_on = false;
        self.not_before = now + self.pause;
        self.pause = (2 * self.pause).min(limits::KAFKA_REMIND);
        self.reminders = REMINDERS;
        mem::take(&mut self.is_away)
    }

    /// Between two looks at the topics; also the time in which a client is met that has forgotten the brokers.
    pub(super) fn between_looks(&self) -> Duration {
        if self.reminders > 0 {
            limits::KAFKA_BACK_CHECK
        } else {
            limits::KAFKA_TOPIC_CHECK
        }
    }

    /// Whether to remind once more, behind a look that went well.
    pub(super) fn reminds(&mut self) -> bool {
        if self.reminders == 0 {
            self.pause = limits::KAFKA_AWAY_LOOK;
            return false;
        }
        self.reminders -= 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_reminded_when_kafka_is_back_and_with_the_next_looks() {
        let now = Instant::now();
        let mut outage = Outage::none(now);
        assert!(!outage.is_time(now) && !outage.reminds());
        outage.begins();
        assert!(outage.is_time(now));
        assert!(outage.goes_on(now));
        assert!(!outage.is_time(now));
        let later = now + limits::KAFKA_AWAY_LOOK;
        assert!(outage.is_time(later));
        assert!(!outage.goes_on(later), "it is known");
        assert!(outage.ends(later));
        assert!(!outage.is_on());
        for _ in 0..REMINDERS {
            assert_eq!(outage.between_looks(), limits::KAFKA_BACK_CHECK);
            assert!(outage.reminds());
        }
        assert_eq!(outage.between_looks(), limits::KAFKA_TOPIC_CHECK);
        assert!(!outage.reminds());
    }

    /// Addresses of which only the first can be reached: Kafka answers, and clients lose it again and again.
    #[test]
    fn clients_that_are_not_helped_are_reminded_less_often() {
        let begin = Instant::now();
        let mut outage = Outage::none(begin);
        let mut reminded = 0;
        for second in 0..3_600 {
            let now = begin + Duration::from_secs(second);
            outage.begins();
            if outage.is_time(now) {
                assert!(!outage.ends(now), "nobody need know");
                reminded += 1;
            }
        }
        assert!((60..80).contains(&reminded), "{reminded} in an hour");
        // Once it holds, the next outage is met as fast as the first.
        while outage.reminds() {}
        outage.begins();
        let now = begin + Duration::from_hours(2);
        outage.ends(now);
        outage.begins();
        assert!(outage.is_time(now + limits::KAFKA_AWAY_LOOK));
    }
}
