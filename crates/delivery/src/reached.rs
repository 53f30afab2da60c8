//! How far a reader has come.

use sockeye_log::Position;

/// A place in a topic, and what was given already of the events behind it: several subscriptions of a connection may want the
/// same event, and its socket may be full between their frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reached {
    /// Everything before it was given, or is not wanted.
    pub(crate) position: Position,
    /// Mostly one. Read again, partitions may be mixed in another order, and what comes before it may be wanted by a subscription
    /// that came later.
    pub(crate) partly: Vec<Partly>,
}

/// An event that some of the subscriptions have been given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Partly {
    pub(crate) partition: u32,
    pub(crate) offset: u64,
    /// The last of them.
    pub(crate) serial: u32,
}

// ----------------------------------------------------------------------------------------------

impl Reached {
    /// The event at this place was given to this subscription and to those before it.
    pub(crate) fn give(&mut self, partition: u32, offset: u64, serial: u32) {
        self.partly.retain(|partly| !partly.is_at(partition, offset));
        self.partly.push(Partly {
            partition,
            offset,
            serial,
        });
    }

    /// The event at this place was given to all who want it.
    pub(crate) fn pass(&mut self, partition: u32, offset: u64) {
        self.partly
            .retain(|partly| partly.partition != partition || partly.offset > offset);
        self.position.advance(partition, offset + 1);
    }

    /// Passes the events that nobody awaits any more.
    pub(crate) fn settle(&mut self, awaited: impl Fn(&Partly) -> bool) {
        let (awaited, given): (Vec<_>, Vec<_>) = std::mem::take(&mut self.partly).into_iter().partition(awaited);
        self.partly = awaited;
        for Partly { partition, offset, .. } in given {
            self.pass(partition, offset);
        }
    }

    /// The last subscription that was given the event at this place.
    pub(crate) fn given(&self, partition: u32, offset: u64) -> Option<u32> {
        let mut partly = self.partly.iter();
        Some(partly.find(|partly| partly.is_at(partition, offset))?.serial)
    }

    /// Everything before this position was given.
    pub(crate) fn move_to(&mut self, position: &Position) {
        for (partition, next) in position.offsets() {
            self.position.advance(*partition, *next);
        }
        self.partly
            .retain(|partly| partly.offset >= position.offset(partly.partition));
    }
}

impl Partly {
    fn is_at(&self, partition: u32, offset: u64) -> bool {
        (self.partition, self.offset) == (partition, offset)
    }
}

impl From<Position> for Reached {
    fn from(position: Position) -> Self {
        let partly = Vec::new();
        Self { position, partly }
    }
}

#[cfg(test)]
mod tests {
    use sockeye_log::Incarnation;

    use super::*;

    /// An event that was given in part stays so while others pass.
    #[test]
    fn each_partition_may_have_an_event_in_part() {
        let position = |offsets: &[(u32, u64)]| Position::new(Incarnation(1), offsets.iter().copied());
        let mut reached = Reached::from(position(&[(0, 5)]));
        reached.give(0, 5, 2);
        reached.give(0, 5, 7);
        reached.pass(1, 3);
        reached.give(1, 4, 1);
        assert_eq!(reached.position, position(&[(0, 5), (1, 4)]));
        assert_eq!((reached.given(0, 5), reached.given(1, 4)), (Some(7), Some(1)));
        assert_eq!((reached.given(0, 4), reached.given(1, 5)), (None, None));
        reached.pass(0, 4);
        assert_eq!(reached.given(0, 5), Some(7), "what was not wanted comes before it");
        reached.pass(0, 5);
        assert_eq!((reached.given(0, 5), reached.given(1, 4)), (None, Some(1)));
        reached.move_to(&position(&[(0, 9), (1, 4)]));
        assert_eq!(reached.given(1, 4), Some(1), "it is still behind");
        reached.move_to(&position(&[(1, 5)]));
        assert_eq!(reached, position(&[(0, 9), (1, 5)]).into());
    }
}
