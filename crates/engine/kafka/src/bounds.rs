//! Where a topic begins and ends, and whether a position is in it.

use sockeye_log::{Incarnation, Position, ReadError, Span};

/// The bounds of each partition at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) incarnation: Incarnation,
    /// Sorted by partition.
    pub(crate) partitions: Vec<Partition>,
}

/// The bounds of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Partition {
    pub(crate) number: u32,
    /// Offset of the oldest record that is still there.
    pub(crate) oldest: u64,
    /// Behind the newest record that is stored, committed or not.
    pub(crate) end: u64,
}

// ----------------------------------------------------------------------------------------------

impl Bounds {
    pub(crate) fn oldest(&self) -> Position {
        Position::new(self.incarnation, self.partitions.iter().map(|p| (p.number, p.oldest)))
    }

    pub(crate) fn end(&self) -> Position {
        Position::new(self.incarnation, self.partitions.iter().map(|p| (p.number, p.end)))
    }

    pub(crate) fn span(&self) -> Span {
        Span {
            oldest: self.oldest(),
            end: self.end(),
        }
    }

    /// The position with every partition named, if reading can start there.
    pub(crate) fn locate(&self, position: &Position) -> Result<Position, ReadError> {
        self.same_incarnation(position)?;
        let mut whole = self.oldest();
        for &(number, offset) in position.offsets() {
            if offset < whole.offset(number) {
                return Err(ReadError::Trimmed { oldest: self.oldest() });
            }
            if offset > self.end().offset(number) {
                return Err(ReadError::BeyondEnd { end: self.end() });
            }
            whole.advance(number, offset);
        }
        Ok(whole)
    }

    /// What is to be removed so that the topic begins at this position: partitions and their new oldest offsets.
    pub(crate) fn before(&self, position: &Position) -> Result<Vec<(u32, u64)>, ReadError> {
        self.same_incarnation(position)?;
        let (oldest, end) = (self.oldest(), self.end());
        if position
            .offsets()
            .iter()
            .any(|(number, offset)| *offset > end.offset(*number))
        {
            return Err(ReadError::BeyondEnd { end });
        }
        let newer = |&(number, offset): &(u32, u64)| offset > oldest.offset(number);
        Ok(position.offsets().iter().copied().filter(newer).collect())
    }

    fn same_incarnation(&self, position: &Position) -> Result<(), ReadError> {
        if position.incarnation() == self.incarnation {
            return Ok(());
        }
        Err(ReadError::OtherIncarnation { oldest: self.oldest() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Incarnation = Incarnation(1);

    fn bounds() -> Bounds {
        let partitions = [(0, 0, 5), (1, 3, 9), (2, 4, 4)];
        let partitions = partitions.map(|(number, oldest, end)| Partition { number, oldest, end });
        Bounds {
            incarnation: HERE,
            partitions: partitions.into(),
        }
    }

    #[test]
    fn a_position_is_located() {
        let at = |offsets: &[(u32, u64)]| Position::new(HERE, offsets.iter().copied());
        let check = |offsets: &[(u32, u64)], expected: Result<&[(u32, u64)], ReadError>| {
            assert_eq!(bounds().locate(&at(offsets)), expected.map(at), "{offsets:?}");
        };
        let (oldest, end) = (bounds().oldest(), bounds().end());
        check(&[(0, 2), (1, 3), (2, 4)], Ok(&[(0, 2), (1, 3), (2, 4)]));
        check(&[(0, 5), (1, 9), (2, 4)], Ok(&[(0, 5), (1, 9), (2, 4)]));
        // What is not named is read from its beginning.
        check(&[(1, 4)], Ok(&[(0, 0), (1, 4), (2, 4)]));
        check(&[(1, 2)], Err(ReadError::Trimmed { oldest: oldest.clone() }));
        check(&[(0, 6)], Err(ReadError::BeyondEnd { end: end.clone() }));
        check(&[(7, 1)], Err(ReadError::BeyondEnd { end }));
        assert_eq!(
            bounds().locate(&Position::new(Incarnation(2), [])),
            Err(ReadError::OtherIncarnation { oldest })
        );
    }

    #[test]
    fn only_what_is_there_is_removed() {
        let check = |offsets: &[(u32, u64)], expected: Result<Vec<(u32, u64)>, ReadError>| {
            assert_eq!(
                bounds().before(&Position::new(HERE, offsets.iter().copied())),
                expected,
                "{offsets:?}"
            );
        };
        check(&[(0, 0), (1, 2), (2, 4)], Ok(vec![]));
        check(&[(0, 5), (1, 4)], Ok(vec![(0, 5), (1, 4)]));
        check(&[(1, 10)], Err(ReadError::BeyondEnd { end: bounds().end() }));
    }
}
