//! The newest segments of a topic, in memory, within one budget for all topics.

use std::collections::VecDeque;
use std::sync::Arc;

use prometheus_client::metrics::gauge::Gauge;
use sockeye_limits as limits;
use sockeye_log::Position;

use crate::segment::Segment;

/// How much the tails of topics may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TailLimits {
    /// Bytes of all topics together.
    pub bytes: usize,
    /// Bytes of one topic; its newest segment may be larger.
    pub bytes_per_topic: usize,
    /// Segments of one topic.
    pub segments: usize,
}

/// Memory that the tails of all topics share.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    limits: TailLimits,
    /// Bytes that are used, as they are shown.
    used: Gauge,
}

/// The tail of one topic: segments without gap, the newest always.
#[derive(Debug)]
pub(crate) struct Tail {
    segments: VecDeque<Arc<Segment>>,
    bytes: usize,
    budget: Arc<Budget>,
}

// ----------------------------------------------------------------------------------------------

impl Budget {
    /// A budget of which `used` shows what is used.
    pub(crate) fn new(limits: TailLimits, used: Gauge) -> Self {
        Self { limits, used }
    }
}

impl Tail {
    pub(crate) fn new(budget: Arc<Budget>) -> Self {
        Self {
            segments: VecDeque::new(),
            bytes: 0,
            budget,
        }
    }

    /// Appends the segment that follows the newest, and drops the oldest until the budget is kept.
    pub(crate) fn push(&mut self, segment: Arc<Segment>) {
        debug_assert!(
            self.segments.back().is_none_or(|newest| newest.next == segment.from),
            "a tail has no gap"
        );
        self.bytes += segment.bytes;
        self.budget.used.inc_by(segment.bytes as i64);
        self.segments.push_back(segment);
        let limits = self.budget.limits;
        while self.segments.len() > limits.segments
            || (self.segments.len() > 1 && self.bytes > limits.bytes_per_topic)
            || self.budget.used.get() > limits.bytes as i64
        {
            let Some(oldest) = self.segments.pop_front() else { break };
            self.bytes -= oldest.bytes;
            self.budget.used.dec_by(oldest.bytes as i64);
        }
    }

    /// The segment in which a reader at this position goes on; `None` if it has fallen out, or is at the end.
    pub(crate) fn after(&self, position: &Position) -> Option<&Arc<Segment>> {
        let oldest = self.segments.front()?;
        if !position.is_at_or_behind(&oldest.from) {
            return None;
        }
        let seen = self
            .segments
            .partition_point(|segment| position.is_at_or_behind(&segment.next));
        self.segments.get(seen)
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.budget.used.dec_by(self.bytes as i64);
    }
}

impl Default for TailLimits {
    fn default() -> Self {
        Self {
            bytes: limits::TAIL_BYTES,
            bytes_per_topic: limits::TAIL_BYTES_PER_TOPIC,
            segments: limits::TAIL_SEGMENTS,
        }
    }
}

#[cfg(test)]
mod tests {
    use sockeye_log::Incarnation;

    use super::*;
    use crate::metrics::Held;

    fn position(next: u64) -> Position {
        Position::new(Incarnation(1), [(0, next)])
    }

    fn segment(from: u64, next: u64, bytes: usize) -> Arc<Segment> {
        let (from, next) = (position(from), position(next));
        Arc::new(Segment {
            from,
            next,
            entries: Vec::new(),
            newest: None,
            bytes,
            skipped: 0,
            _held: Held::default(),
        })
    }

    fn readable(tail: &Tail) -> Vec<u64> {
        (0..100).filter(|at| tail.after(&position(*at)).is_some()).collect()
    }

    #[test]
    fn a_reader_finds_its_segment() {
        let mut tail = Tail::new(Arc::default());
        assert!(readable(&tail).is_empty());
        tail.push(segment(10, 15, 1));
        tail.push(segment(15, 20, 1));
        assert_eq!(readable(&tail), (10..20).collect::<Vec<_>>());
        assert_eq!(tail.after(&position(14)).unwrap().from, position(10));
        assert_eq!(tail.after(&position(15)).unwrap().from, position(15));
    }

    #[test]
    fn the_oldest_goes_first_and_what_is_freed_can_be_used() {
        let budget = Arc::new(Budget::default());
        let mut tail = Tail::new(budget.clone());
        for number in 0..10 {
            tail.push(segment(number, number + 1, limits::TAIL_BYTES_PER_TOPIC / 4));
        }
        assert_eq!(readable(&tail), [6, 7, 8, 9]);
        drop(tail);
        assert_eq!(budget.used.get(), 0);
    }

    #[test]
    fn all_tails_together_keep_the_budget() {
        let budget = Arc::new(Budget::default());
        let mut tails: Vec<_> = (0..20).map(|_| Tail::new(budget.clone())).collect();
        for tail in &mut tails {
            tail.push(segment(0, 1, limits::TAIL_BYTES / 8));
        }
        assert!(budget.used.get() <= limits::TAIL_BYTES as i64);
        assert!(
            !readable(&tails[0]).is_empty() && readable(&tails[19]).is_empty(),
            "who comes last has no room"
        );
    }
}
