//! How much may be under way to one member.

use std::time::Duration;

use sockeye_limits as limits;

/// Credit for events, and so many bytes for each. It grows while receipts come soon and all of it is used, and is halved when
/// one takes long: a slow member has little under way, so that what a fast one could take is not with it, and so that its
/// receipts are in time.
#[derive(Debug)]
pub(crate) struct Credit {
    events: usize,
    /// A receipt that takes longer than this is a slow one.
    slow: Duration,
    /// All of it was used since the last receipt.
    used_up: bool,
    /// Deliveries up to this number were under way when it was halved: they say nothing about what it is now.
    halved_at: u64,
}

// ----------------------------------------------------------------------------------------------

impl Credit {
    /// Credit of a member whose receipts have so much time.
    pub(crate) fn new(time: Duration) -> Self {
        Self {
            events: limits::GROUP_CREDIT_FIRST,
            slow: time / limits::GROUP_SLOW_PART,
            used_up: false,
            halved_at: 0,
        }
    }

    /// Events that may be under way.
    pub(crate) fn events(&self) -> usize {
        self.events
    }

    /// Whether one more event may go out while these are under way. One always may, whatever its size.
    pub(crate) fn covers(&mut self, events: usize, bytes: usize) -> bool {
        let covers = events < self.events && bytes < self.events * limits::GROUP_CREDIT_BYTES_PER_EVENT;
        self.used_up |= !covers;
        covers
    }

    /// Whether so much is under way that receipts should come, or the rest is used up before they do.
    pub(crate) fn is_short(&self, events: usize, bytes: usize) -> bool {
        let part = limits::GROUP_ASK_PART;
        events * part >= self.events || bytes * part >= self.events * limits::GROUP_CREDIT_BYTES_PER_EVENT
    }

    /// `count` deliveries up to `number` were receipted, the first of them after `took`; `last` is the newest delivery.
    pub(crate) fn receipted(&mut self, count: usize, number: u64, took: Duration, last: u64) {
        if took > self.slow {
            if number > self.halved_at {
                self.events = (self.events / 2).max(1);
                self.halved_at = last;
            }
        } else if self.used_up {
            self.events = (self.events + count).min(limits::GROUP_CREDIT);
        }
        self.used_up = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(30);
    const FIRST: usize = limits::GROUP_CREDIT_FIRST;
    const SOON: Duration = Duration::from_millis(50);

    #[test]
    fn one_event_is_always_covered() {
        let mut credit = Credit::new(TIME);
        for round in 1..20 {
            credit.receipted(1, round, TIME, round);
        }
        assert_eq!(credit.events(), 1);
        assert!(credit.covers(0, 0));
        assert!(!credit.covers(1, 1));
    }

    #[test]
    fn bytes_count_as_well_as_events() {
        let mut credit = Credit::new(TIME);
        assert!(credit.covers(FIRST - 1, 0));
        assert!(!credit.covers(FIRST, 0));
        assert!(credit.covers(1, FIRST * 512 - 1));
        assert!(!credit.covers(1, FIRST * 512));
    }

    #[test]
    fn it_is_short_when_half_is_used() {
        let credit = Credit::new(TIME);
        assert!(!credit.is_short(FIRST / 2 - 1, FIRST * 256 - 1));
        assert!(credit.is_short(FIRST / 2, 0) && credit.is_short(1, FIRST * 256));
    }

    #[test]
    fn it_grows_only_while_it_is_used_up() {
        let mut credit = Credit::new(TIME);
        credit.receipted(FIRST, 32, SOON, 32);
        assert_eq!(credit.events(), FIRST);
        for (round, expected) in [(1, 64), (2, 96), (3, 128)] {
            assert!(!credit.covers(credit.events(), 0));
            credit.receipted(FIRST, 32 * round, SOON, 32 * round);
            assert_eq!(credit.events(), expected);
        }
        for round in 4..100 {
            assert!(!credit.covers(credit.events(), 0));
            credit.receipted(FIRST, 32 * round, SOON, 32 * round);
        }
        assert_eq!(credit.events(), limits::GROUP_CREDIT);
    }

    #[test]
    fn it_is_halved_once_for_what_is_under_way() {
        let mut credit = Credit::new(TIME);
        let slow = TIME / limits::GROUP_SLOW_PART + SOON;
        credit.receipted(1, 1, slow, 20);
        credit.receipted(10, 11, slow, 20);
        credit.receipted(9, 20, slow, 40);
        assert_eq!(credit.events(), FIRST / 2);
        credit.receipted(1, 21, slow, 40);
        assert_eq!(credit.events(), FIRST / 4);
    }
}
