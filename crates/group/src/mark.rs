//! What of a group is durable: the low-water mark, and what was receipted behind it.

use std::ops::Range;

use sockeye_log::Position;

use crate::ledger::Ledger;

/// A group's durable position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The low-water mark: everything before it was receipted, did not match, or was removed by retention.
    pub position: Position,
    /// What was receipted behind it.
    pub receipted: Receipted,
}

/// A mark that moves without a group, as the log is read from its position on.
#[derive(Debug)]
pub struct Marking(Ledger);

/// Offsets behind a low-water mark whose events were receipted, did not match, or were removed by retention: for each partition runs in order, which do not touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipted(pub(crate) Vec<(u32, Vec<Range<u64>>)>);

/// Why stored bytes are no [`Receipted`]: they were damaged, or a later release wrote them. Whoever goes on without them
/// loses nothing and doubles at most a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MarkError {
    /// The first byte names no encoding of this release.
    #[error("receipts are stored in encoding {0}, which this release does not know")]
    Version(u8),
    /// The bytes are no runs of offsets behind this position.
    #[error("stored receipts are damaged")]
    Damaged,
}

// ----------------------------------------------------------------------------------------------

/// The encoding: this byte, then for each partition its number, how many runs it has, and each run as the distance from the
/// end of the one before (of the first: from the low-water mark) and its length. Numbers are LEB128.
const VERSION: u8 = 1;

impl Mark {
    /// A position behind which nothing was receipted.
    pub fn at(position: Position) -> Self {
        Self {
            position,
            receipted: Receipted::default(),
        }
    }

    /// The mark that was stored as this position and these bytes.
    pub fn decode(position: Position, bytes: &[u8]) -> Result<Self, MarkError> {
        let receipted = Receipted::decode(&position, bytes)?;
        Ok(Self { position, receipted })
    }

    /// What is to be stored beside the position; no bytes if nothing was receipted behind it, and at most
    /// [`sockeye_limits::GROUP_RECEIPTED`].
    pub fn encode_receipted(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (partition, runs) in &self.receipted.0 {
            if bytes.is_empty() {
                bytes.push(VERSION);
            }
            put(&mut bytes, u64::from(*partition));
            put(&mut bytes, runs.len() as u64);
            let mut last = self.position.offset(*partition);
            for run in runs {
                put(&mut bytes, run.start - last);
                put(&mut bytes, run.end - run.start);
                last = run.end;
            }
        }
        bytes
    }

    /// The mark when retention has removed what is before `oldest`: how many events it took that were not receipted, at most
    /// (offsets are not dense).
    pub fn trim(&mut self, oldest: &Position) -> u64 {
        let mut ledger = Ledger::of(self);
        let lost = ledger.trim(oldest);
        *self = ledger.mark();
        lost
    }

    /// Offsets from this mark to `end` that are not receipted: at least as many as events.
    pub fn distance(&self, end: &Position) -> u64 {
        self.clone().trim(end)
    }

    /// Whether an event is receipted by this mark (or before it).
    pub fn covers(&self, partition: u32, offset: u64) -> bool {
        offset < self.position.offset(partition) || self.receipted.contains(partition, offset)
    }
}

impl Marking {
    /// The mark from which the log is read.
    pub fn of(mark: &Mark) -> Self {
        Self(Ledger::of(mark))
    }

    /// An event was read, by the order of its partition; whether it is done with now.
    pub fn read(&mut self, partition: u32, offset: u64, done: bool) {
        if self.0.open(partition, offset) && done {
            self.0.close(partition, offset);
        }
    }

    /// All events before this position were read.
    pub fn passed(&mut self, next: &Position) {
        self.0.pass(next);
    }

    /// The mark now.
    pub fn mark(&self) -> Mark {
        self.0.mark()
    }
}

impl Receipted {
    /// Whether an offset is in one of the runs.
    pub fn contains(&self, partition: u32, offset: u64) -> bool {
        self.0
            .binary_search_by_key(&partition, |(partition, _)| *partition)
            .is_ok_and(|at| {
                let runs = &self.0[at].1;
                let next = runs.partition_point(|run| run.end <= offset);
                runs.get(next).is_some_and(|run| run.contains(&offset))
            })
    }

    fn decode(position: &Position, bytes: &[u8]) -> Result<Self, MarkError> {
        let Some((version, mut rest)) = bytes.split_first() else {
            return Ok(Self::default());
        };
        if *version != VERSION {
            return Err(MarkError::Version(*version));
        }
        let mut partitions: Vec<(u32, Vec<Range<u64>>)> = Vec::new();
        while !rest.is_empty() {
            let partition = u32::try_from(take(&mut rest)?).map_err(|_| MarkError::Damaged)?;
            if partitions.last().is_some_and(|(last, _)| *last >= partition) {
                return Err(MarkError::Damaged);
            }
            let mut runs = Vec::new();
            let mut last = position.offset(partition);
            for _ in 0..take(&mut rest)? {
                let (gap, length) = (take(&mut rest)?, take(&mut rest)?);
                if gap == 0 || length == 0 {
                    return Err(MarkError::Damaged);
                }
                let start = last.checked_add(gap).ok_or(MarkError::Damaged)?;
                last = start.checked_add(length).ok_or(MarkError::Damaged)?;
                runs.push(start..last);
            }
            partitions.push((partition, runs));
        }
        Ok(Self(partitions))
    }
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take(bytes: &mut &[u8]) -> Result<u64, MarkError> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(MarkError::Damaged)?;
        *bytes = rest;
        let part = u64::from(byte & 0x7f);
        // Of the tenth byte one bit is left.
        if part << shift >> shift != part {
            break;
        }
        number |= part << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(MarkError::Damaged)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sockeye_log::Incarnation;

    use super::*;

    fn position(offsets: &[(u32, u64)]) -> Position {
        Position::new(Incarnation(1), offsets.iter().copied())
    }

    #[test]
    fn the_encoding_is_what_it_was() {
        let mark = Mark {
            position: position(&[(0, 100), (3, 7)]),
            receipted: Receipted(vec![(0, vec![101..102, 110..310]), (3, vec![8..9; 1])]),
        };
        let bytes = [1, 0, 2, 1, 1, 8, 0xc8, 1, 3, 1, 1, 1];
        assert_eq!(mark.encode_receipted(), bytes);
        assert_eq!(Mark::decode(mark.position.clone(), &bytes), Ok(mark));
        let plain = Mark::at(position(&[(0, 5)]));
        assert!(plain.encode_receipted().is_empty());
        assert_eq!(Mark::decode(plain.position.clone(), &[]), Ok(plain));
    }

    #[test]
    fn a_mark_moves_without_a_group() {
        let mark = Mark::at(position(&[(0, 10)]));
        let mut marking = Marking::of(&mark);
        for offset in [10, 12, 13, 20] {
            marking.read(0, offset, offset > 12);
        }
        marking.passed(&position(&[(0, 30)]));
        let some = marking.mark();
        assert_eq!(some.position, position(&[(0, 10)]));
        assert!([13, 20, 29].iter().all(|offset| some.covers(0, *offset)));
        assert!(!some.covers(0, 12) && !some.covers(0, 30));
        assert_eq!(some.distance(&position(&[(0, 35), (1, 2)])), 3 + 5 + 2);
        let mut marking = Marking::of(&some);
        for (offset, done) in [(10, true), (12, true), (13, false)] {
            marking.read(0, offset, done);
        }
        assert_eq!(marking.mark(), Mark::at(position(&[(0, 30)])));
        let mut trimmed = some;
        assert_eq!(trimmed.trim(&position(&[(0, 11)])), 1);
        assert_eq!(trimmed.position, position(&[(0, 11)]));
        assert_eq!(trimmed.trim(&position(&[(0, 5)])), 0);
    }

    #[test]
    fn damaged_bytes_are_refused() {
        let most = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
        let check = |bytes: &[u8], error| assert_eq!(Mark::decode(position(&[(0, 9)]), bytes), Err(error), "{bytes:?}");
        check(&[2, 0, 0], MarkError::Version(2));
        check(&[1, 0], MarkError::Damaged);
        check(&[1, 0, 1, 1], MarkError::Damaged);
        check(&[1, 0, 1, 0, 1], MarkError::Damaged);
        check(&[1, 0, 1, 1, 0], MarkError::Damaged);
        check(&[1, 1, 0, 0, 0], MarkError::Damaged);
        check(&[1, 1, 0, 1, 0], MarkError::Damaged);
        check(&[&[1, 0, 1][..], &most, &[1]].concat(), MarkError::Damaged);
        check(&[&[1][..], &most, &[0]].concat(), MarkError::Damaged);
        check(&[&[1, 0], &most[..9], &[2]].concat(), MarkError::Damaged);
    }

    #[test]
    fn a_mark_covers_what_it_says() {
        let mark = Mark {
            position: position(&[(0, 4)]),
            receipted: Receipted(vec![(0, vec![6..8, 9..10]), (2, vec![1..2; 1])]),
        };
        let covered = |partition| {
            (0..12)
                .filter(|offset| mark.covers(partition, *offset))
                .collect::<Vec<_>>()
        };
        assert_eq!(covered(0), [0, 1, 2, 3, 6, 7, 9]);
        assert_eq!(covered(2), [1]);
        assert_eq!(covered(1), [0; 0]);
    }

    proptest! {
        #[test]
        fn what_is_stored_comes_back(lows in prop::collection::btree_map(any::<u32>(), 0..u64::MAX / 4, 0..4),
                                     runs in prop::collection::vec((1..1_u64 << 40, 1..1_u64 << 40), 1..20)) {
            let mut receipted = Vec::new();
            for (partition, low) in &lows {
                let mut last = *low;
                let runs = runs.iter().map(|(gap, length)| {
                    let start = last + gap;
                    last = start + length;
                    start..last
                });
                receipted.push((*partition, runs.collect()));
            }
            let mark = Mark { position: Position::new(Incarnation(7), lows), receipted: Receipted(receipted) };
            let bytes = mark.encode_receipted();
            prop_assert_eq!(Mark::decode(mark.position.clone(), &bytes), Ok(mark));
        }

        #[test]
        fn no_bytes_panic(low in any::<u64>(), mut bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Some(first) = bytes.first_mut() {
                *first = VERSION;
            }
            let position = position(&[(0, low)]);
            if let Ok(mark) = Mark::decode(position.clone(), &bytes) {
                let again = Mark::decode(position, &mark.encode_receipted());
                prop_assert_eq!(again, Ok(mark));
            }
        }
    }
}
