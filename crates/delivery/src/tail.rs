//! The newest segments of a topic.

use std::collections::VecDeque;
use std::sync::Arc;

use sockeye_log::Position;

use crate::budget::Store;
use crate::segment::Segment;

/// Segments without gap, up to the head of the topic. The oldest goes first.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    segments: VecDeque<Arc<Segment>>,
    bytes: usize,
}

// ----------------------------------------------------------------------------------------------

impl Store for Tail {
    /// Appends the segment that follows the newest.
    fn push(&mut self, segment: Arc<Segment>) {
        debug_assert!(
            self.segments.back().is_none_or(|newest| newest.next == segment.from),
            "a tail has no gap"
        );
        self.bytes += segment.bytes;
        self.segments.push_back(segment);
    }

    fn pop(&mut self) -> Option<Arc<Segment>> {
        let oldest = self.segments.pop_front()?;
        self.bytes -= oldest.bytes;
        Some(oldest)
    }

    /// The segment in which a reader at this position reads on; none at the head, and before the oldest.
    fn after(&self, position: &Position) -> Option<&Arc<Segment>> {
        let oldest = self.segments.front()?;
        if !position.is_at_or_behind(&oldest.from) {
            return None;
        }
        let seen = self
            .segments
            .partition_point(|segment| position.is_at_or_behind(&segment.next));
        self.segments.get(seen)
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn len(&self) -> usize {
        self.segments.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::tests::{position, segment};

    #[test]
    fn a_reader_finds_its_segment() {
        let mut tail = Tail::default();
        let readable =
            |tail: &Tail| -> Vec<u64> { (0..100).filter(|at| tail.after(&position(*at)).is_some()).collect() };
        assert!(readable(&tail).is_empty());
        tail.push(segment(10, 15, 1));
        tail.push(segment(15, 20, 1));
        assert_eq!(readable(&tail), (10..20).collect::<Vec<_>>());
        assert_eq!(tail.after(&position(14)).unwrap().from, position(10));
        assert_eq!(tail.after(&position(15)).unwrap().from, position(15));
        tail.pop();
        assert_eq!(readable(&tail), (15..20).collect::<Vec<_>>());
    }
}
