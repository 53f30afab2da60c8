//! Places in a topic.

use std::fmt;

/// A topic's identity: a topic that is deleted and made again, or restored from a backup, has another, so that positions
/// in the old one are recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Incarnation(pub u64);

/// A place in a topic: for each partition the offset of the next record to read. A partition that is not named is read
/// from its beginning, which is what happens to the partitions that a Kafka topic gets later.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    incarnation: Incarnation,
    /// Sorted by partition, each once.
    offsets: Vec<(u32, u64)>,
}

/// What a topic holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The position of the oldest record that is still there.
    pub oldest: Position,
    /// The position behind the newest record: what is appended from now on is read from here.
    pub end: Position,
}

// ----------------------------------------------------------------------------------------------

impl Position {
    /// A position of the given offsets; a partition that is named twice gets the higher one.
    pub fn new(incarnation: Incarnation, offsets: impl IntoIterator<Item = (u32, u64)>) -> Self {
        let mut position = Self {
            incarnation,
            offsets: Vec::new(),
        };
        for (partition, next) in offsets {
            position.advance(partition, next);
        }
        position
    }

    /// The incarnation of the topic.
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// Partition and next offset, sorted by partition.
    pub fn offsets(&self) -> &[(u32, u64)] {
        &self.offsets
    }

    /// The next offset of a partition: 0 if it is not named.
    pub fn offset(&self, partition: u32) -> u64 {
        self.offsets
            .binary_search_by_key(&partition, |(p, _)| *p)
            .map_or(0, |at| self.offsets[at].1)
    }

    /// Moves a partition forward to `next`; never back.
    pub fn advance(&mut self, partition: u32, next: u64) {
        match self.offsets.binary_search_by_key(&partition, |(p, _)| *p) {
            Ok(at) => self.offsets[at].1 = self.offsets[at].1.max(next),
            Err(at) => self.offsets.insert(at, (partition, next)),
        }
    }

    /// Whether everything before `other` is before this position too (of the same incarnation).
    pub fn is_at_or_behind(&self, other: &Self) -> bool {
        self.incarnation == other.incarnation
            && other
                .offsets
                .iter()
                .all(|(partition, next)| self.offset(*partition) >= *next)
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.incarnation)?;
        for (partition, next) in &self.offsets {
            write!(f, " {partition}:{next}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_only_moves_forward() {
        let mut position = Position::new(Incarnation(1), [(2, 5), (0, 1), (2, 3)]);
        assert_eq!(position.offsets(), [(0, 1), (2, 5)]);
        position.advance(2, 4);
        position.advance(1, 7);
        assert_eq!(position.offsets(), [(0, 1), (1, 7), (2, 5)]);
        assert_eq!(position.offset(9), 0);
    }

    #[test]
    fn an_unnamed_partition_counts_from_its_beginning() {
        let one = Position::new(Incarnation(1), [(0, 1)]);
        let two = Position::new(Incarnation(1), [(0, 1), (1, 1)]);
        assert!(two.is_at_or_behind(&one));
        assert!(!one.is_at_or_behind(&two));
        assert!(!two.is_at_or_behind(&Position::new(Incarnation(2), [])));
    }
}
