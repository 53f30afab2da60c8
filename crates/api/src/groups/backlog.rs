//! What a group has not receipted yet. Positions alone tell it badly: offsets are not dense, and a group that selects passes most
//! of them. So what follows the position is read and counted, up to a bound; beyond that, numbers are at most.

use jiff::Timestamp;
use sockeye_event::{Event, binary};
use sockeye_group::Mark;
use sockeye_log::{GroupId, Log, Position, ReadError, ReadLimit, Span, Topic};

use super::name;
use crate::error::ApiError;

/// Events that are not receipted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Backlog {
    /// How many.
    pub(super) events: u64,
    /// Whether that is their number, and not an upper bound.
    pub(super) exact: bool,
    /// The one that was appended first, if it was found.
    pub(super) oldest: Option<Oldest>,
    /// If it was not: when the last one was appended that was read in search of it.
    pub(super) not_before: Option<Timestamp>,
    /// Events that retention took and that were not receipted, at most, beside those that are counted already.
    pub(super) taken: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Oldest {
    /// `id` of the event.
    pub(super) id: String,
    /// When it was appended.
    pub(super) time: Timestamp,
}

// ----------------------------------------------------------------------------------------------

impl Backlog {
    /// What is behind a mark of this group in its log, found by at most so many reads of [`ReadLimit::default`].
    pub(super) async fn of(
        log: &dyn Log,
        group: &GroupId,
        mark: Mark,
        span: &Span,
        reads: usize,
    ) -> Result<Self, ApiError> {
        let mut mark = mark;
        let mut backlog = Self::default();
        if mark.position.incarnation() == span.end.incarnation() {
            backlog.taken = mark.trim(&span.oldest);
        } else {
            // The group goes on in the log that took the place of its own, from the beginning.
            mark = Mark::at(span.oldest.clone());
        }
        let selected: Vec<_> = group.selected().map(|(name, value)| (name.to_owned(), value)).collect();
        let topic = Topic::events_of(group.application.clone());
        let mut next = mark.position.clone();
        for _ in 0..reads {
            if next.is_at_or_behind(&span.end) {
                break;
            }
            let batch = match log.read(&topic, &next, ReadLimit::default()).await {
                Ok(batch) => batch,
                // Retention goes on meanwhile, and so do other things: a look at a moment need not be more.
                Err(ReadError::Unavailable(error)) => return Err(ReadError::Unavailable(error).into()),
                Err(_) => break,
            };
            for record in &batch.records {
                backlog.not_before = backlog.not_before.max(Some(record.time));
                if is_behind(&span.end, record.partition, record.offset) || mark.covers(record.partition, record.offset)
                {
                    continue;
                }
                // What is no event is skipped by a group too.
                let Ok(event) = binary::decode(&record.headers, record.payload.as_ref()) else {
                    continue;
                };
                if name::wants(&selected, &event) {
                    backlog.add(&event, record.time);
                }
            }
            next = batch.next;
        }
        backlog.exact = next.is_at_or_behind(&span.end);
        if !backlog.exact {
            mark.trim(&next);
            backlog.events += mark.distance(&span.end);
        }
        backlog.exact &= name::is_whole(&selected);
        Ok(backlog)
    }

    fn add(&mut self, event: &Event, time: Timestamp) {
        self.events += 1;
        if self.oldest.as_ref().is_none_or(|oldest| time < oldest.time) {
            self.oldest = Some(Oldest {
                id: event.id.to_string(),
                time,
            });
        }
    }

    /// Since when the oldest one waits; it may be that it was appended later.
    pub(super) fn since(&self) -> Option<Timestamp> {
        match &self.oldest {
            Some(oldest) => Some(oldest.time),
            None => self.not_before.filter(|_| self.events > 0),
        }
    }
}

fn is_behind(end: &Position, partition: u32, offset: u64) -> bool {
    offset >= end.offset(partition)
}
