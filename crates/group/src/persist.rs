//! When a group stores its mark: rarely enough to cost little, often enough that a crash doubles little.

use std::time::{Duration, Instant};

/// What is receipted, and how much of that is durable.
#[derive(Debug, Default)]
pub(crate) struct Persist {
    receipted: u64,
    durable: u64,
    /// What will be durable when the mark that was given out is stored.
    under_way: Option<u64>,
    /// Since when there is something to store.
    since: Option<Instant>,
    /// After a failure.
    not_before: Option<Instant>,
}

// ----------------------------------------------------------------------------------------------

impl Persist {
    /// An event was receipted.
    pub(crate) fn receipted(&mut self, now: Instant) {
        self.receipted += 1;
        self.moved(now);
    }

    /// The mark is another one.
    pub(crate) fn moved(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// Receipts that a crash would forget.
    pub(crate) fn undurable(&self) -> usize {
        (self.receipted - self.durable) as usize
    }

    /// Whether the mark has to be stored now; `at_once`: without waiting for more receipts.
    pub(crate) fn is_due(&self, at_once: bool, time: Duration, now: Instant) -> bool {
        self.due(at_once, time).is_some_and(|due| due <= now)
    }

    /// When the mark has to be stored, if nothing else happens.
    pub(crate) fn due(&self, at_once: bool, time: Duration) -> Option<Instant> {
        let since = self.since.filter(|_| self.under_way.is_none())?;
        let due = if at_once { since } else { since + time };
        Some(self.not_before.map_or(due, |earliest| due.max(earliest)))
    }

    /// The mark was given out to be stored.
    pub(crate) fn ask(&mut self) {
        self.under_way = Some(self.receipted);
        self.since = None;
    }

    /// It is stored.
    pub(crate) fn done(&mut self) {
        if let Some(receipted) = self.under_way.take() {
            self.durable = receipted;
            self.not_before = None;
        }
    }

    /// It could not be stored, and is tried again after a time.
    pub(crate) fn failed(&mut self, time: Duration, now: Instant) {
        if self.under_way.take().is_some() {
            self.since.get_or_insert(now);
            self.not_before = Some(now + time);
        }
    }

    /// All is stored.
    pub(crate) fn is_clean(&self) -> bool {
        self.since.is_none() && self.under_way.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(1);

    #[test]
    fn receipts_are_stored_together_and_one_at_a_time() {
        let start = Instant::now();
        let mut persist = Persist::default();
        assert!(persist.is_clean() && persist.due(true, TIME).is_none());
        persist.receipted(start);
        persist.receipted(start + TIME / 2);
        assert!(!persist.is_due(false, TIME, start + TIME / 2));
        assert!(persist.is_due(true, TIME, start));
        assert!(persist.is_due(false, TIME, start + TIME));
        persist.ask();
        persist.receipted(start + TIME);
        assert_eq!(persist.due(true, TIME), None);
        assert_eq!(persist.undurable(), 3);
        persist.done();
        assert_eq!(
            (persist.undurable(), persist.due(false, TIME)),
            (1, Some(start + 2 * TIME))
        );
        persist.done();
        assert_eq!(persist.undurable(), 1);
    }

    #[test]
    fn a_failure_is_tried_again_after_a_time() {
        let start = Instant::now();
        let mut persist = Persist::default();
        persist.receipted(start);
        persist.ask();
        persist.failed(TIME, start);
        assert!(!persist.is_clean());
        assert!(!persist.is_due(true, TIME, start));
        assert!(persist.is_due(true, TIME, start + TIME));
        assert_eq!(persist.undurable(), 1);
        persist.ask();
        persist.done();
        assert!(persist.is_clean());
        assert_eq!(persist.undurable(), 0);
    }
}
