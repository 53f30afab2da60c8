//! Segments of a topic that were read again, for all readers that are near each other in the past.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use sockeye_log::Position;

use crate::budget::Store;
use crate::segment::Segment;

/// Segments that may overlap and have gaps between them. What was read first goes first.
#[derive(Debug, Default)]
pub(crate) struct Past {
    /// By the sum of the offsets where they begin: of two positions of which one is behind the other, that one has the
    /// higher sum.
    segments: BTreeMap<u128, Arc<Segment>>,
    /// In the order in which they were read.
    order: VecDeque<u128>,
    bytes: usize,
}

/// Segments that are looked at for one reader, from the nearest on. Readers that fell out together are on one line, where
/// the first is the right one; positions in several partitions may be apart.
const LOOKS: usize = 8;

// ----------------------------------------------------------------------------------------------

impl Store for Past {
    fn push(&mut self, segment: Arc<Segment>) {
        let sum = sum(&segment.from);
        self.bytes += segment.bytes;
        match self.segments.insert(sum, segment) {
            Some(other) => self.bytes -= other.bytes,
            None => self.order.push_back(sum),
        }
    }

    fn pop(&mut self) -> Option<Arc<Segment>> {
        let segment = self.segments.remove(&self.order.pop_front()?)?;
        self.bytes -= segment.bytes;
        Some(segment)
    }

    /// A segment in which a reader at this position reads on.
    fn after(&self, position: &Position) -> Option<&Arc<Segment>> {
        let near = self.segments.range(..=sum(position)).rev().take(LOOKS);
        near.map(|(_, segment)| segment).find(|segment| segment.holds(position))
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn len(&self) -> usize {
        self.segments.len()
    }
}

fn sum(position: &Position) -> u128 {
    position.offsets().iter().map(|(_, next)| u128::from(*next)).sum()
}

#[cfg(test)]
mod tests {
    use sockeye_log::Incarnation;

    use super::*;
    use crate::segment::tests::{between, position, segment};

    #[test]
    fn a_reader_finds_a_segment_that_holds_its_place() {
        let mut past = Past::default();
        let from = |past: &Past, at: u64| past.after(&position(at)).map(|segment| segment.from.offset(0));
        past.push(segment(50, 60, 3));
        past.push(segment(10, 20, 4));
        past.push(segment(12, 18, 5));
        for (at, expected) in [
            (9, None),
            (10, Some(10)),
            (12, Some(12)),
            (17, Some(12)),
            (19, Some(10)),
            (20, None),
            (55, Some(50)),
            (60, None),
        ] {
            assert_eq!(from(&past, at), expected, "{at}");
        }
        assert_eq!((past.bytes(), past.len()), (12, 3));
        past.pop();
        assert_eq!(from(&past, 55), None, "what was read first goes first");
        past.push(segment(10, 15, 1));
        assert_eq!((past.bytes(), past.len()), (6, 2), "one for each place");
        past.pop();
        past.pop();
        assert_eq!((past.bytes(), past.len(), past.pop().is_none()), (0, 0, true));
    }

    /// A position that is behind another in one partition and before it in the other is not on its line.
    #[test]
    fn places_in_several_partitions_may_be_apart() {
        let at = |offsets: [u64; 2]| Position::new(Incarnation(1), [(0, offsets[0]), (1, offsets[1])]);
        let mut past = Past::default();
        past.push(between(at([5, 5]), at([9, 9]), 1));
        assert!(past.after(&at([5, 5])).is_some());
        assert!(past.after(&at([9, 5])).is_some());
        assert!(past.after(&at([20, 6])).is_some(), "the second partition goes on there");
        assert!(past.after(&at([4, 8])).is_none());
        assert!(past.after(&at([9, 9])).is_none());
        past.push(between(at([4, 6]), at([9, 9]), 1));
        assert!(past.after(&at([4, 8])).is_some(), "the other one has its place");
    }
}
