//! What the subscriptions of one connection that read a topic together want of it.

use std::collections::VecDeque;
use std::sync::Arc;

use sockeye_log::Position;

use crate::index::Index;
use crate::reached::Partly;
use crate::seen::Seen;
use crate::segment::Entry;
use crate::session::Encoder;
use crate::subscription::{Selection, SubscriptionId};

/// One subscription's wish.
pub(crate) struct Wish {
    pub(crate) selection: Selection,
    pub(crate) encoder: Arc<dyn Encoder>,
}

/// The wishes of subscriptions that share a reading position.
#[derive(Default)]
pub(crate) struct Wishes {
    /// By serial.
    all: Vec<Numbered>,
    next: u32,
    /// How many have a start of their own.
    starting: usize,
    /// An event goes to the first that wants it.
    once: bool,
    /// Made when there are many, and the connection reads by itself.
    index: Option<Box<Index<u32>>>,
}

/// A wish among others.
pub(crate) struct Numbered {
    pub(crate) id: SubscriptionId,
    /// An event goes to the subscriptions in this order. It is never used twice in a connection.
    pub(crate) serial: u32,
    pub(crate) wish: Arc<Wish>,
    /// What is before it is for the others only; `None` when all of them have passed it.
    pub(crate) start: Option<Box<Position>>,
}

/// So many are tried one by one.
const FEW: usize = 8;

// ----------------------------------------------------------------------------------------------

impl Wishes {
    pub(crate) fn new(once: bool) -> Self {
        Self {
            all: Vec::with_capacity(1),
            once,
            ..Self::default()
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn once(&self) -> bool {
        self.once
    }

    pub(crate) fn has(&self, id: SubscriptionId) -> bool {
        self.all.iter().any(|numbered| numbered.id == id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Numbered> {
        self.all.iter()
    }

    /// The only one, if it wants all from here on.
    pub(crate) fn only(&self) -> Option<&Arc<Wish>> {
        match &*self.all {
            [Numbered { wish, start: None, .. }] => Some(wish),
            _ => None,
        }
    }

    /// One more, of what is behind its start; `None`: behind the place where all read.
    pub(crate) fn add(&mut self, id: SubscriptionId, wish: Arc<Wish>, start: Option<Position>) -> &Numbered {
        let serial = self.next;
        self.next = serial.wrapping_add(1);
        self.starting += usize::from(start.is_some());
        self.index = None;
        self.all.push(Numbered {
            id,
            serial,
            wish,
            start: start.map(Box::new),
        });
        &self.all[self.all.len() - 1]
    }

    pub(crate) fn remove(&mut self, id: SubscriptionId) -> Option<Numbered> {
        let at = self.all.iter().position(|numbered| numbered.id == id)?;
        let removed = self.all.remove(at);
        self.starting -= usize::from(removed.start.is_some());
        self.index = None;
        Some(removed)
    }

    /// Where the first of the subscriptions begins, if none has begun.
    pub(crate) fn first_start(&self) -> Option<Position> {
        let mut starts = self.iter().map(|numbered| numbered.start.as_deref());
        let first = starts.next()??;
        let starts: Vec<_> = starts.collect::<Option<_>>()?;
        let lowest = |(partition, next): &(u32, u64)| {
            let others = starts.iter().map(|start: &&Position| start.offset(*partition));
            (*partition, others.fold(*next, u64::min))
        };
        Some(Position::new(first.incarnation(), first.offsets().iter().map(lowest)))
    }

    /// Whether somebody waits for a start that this position has not passed.
    pub(crate) fn await_start(&mut self, position: &Position) -> bool {
        if self.starting > 0 {
            for numbered in &mut self.all {
                let passed = numbered.start.take_if(|start| position.is_at_or_behind(start));
                self.starting -= usize::from(passed.is_some());
            }
        }
        self.starting > 0
    }

    /// Whether somebody has begun who was not given this event, and may want it.
    pub(crate) fn await_event(&self, partly: &Partly) -> bool {
        let begun = |start: &Position| partly.offset >= start.offset(partly.partition);
        self.iter()
            .any(|numbered| numbered.serial > partly.serial && numbered.start.as_deref().is_none_or(begun))
    }

    /// To whom an event goes, in this order. `given`: the last that has got it already.
    pub(crate) fn wanting(&mut self, entry: &Entry, given: Option<u32>) -> VecDeque<u32> {
        if self.index.is_none() && self.all.len() > FEW {
            let index = self.index.insert(Box::default());
            for Numbered { serial, wish, .. } in &self.all {
                index.insert(&wish.selection, *serial);
            }
        }
        let wants = |numbered: &&Numbered| {
            let begun = |start: &Position| entry.offset >= start.offset(entry.partition);
            given.is_none_or(|given| numbered.serial > given)
                && numbered.start.as_deref().is_none_or(begun)
                && numbered.wish.selection.wants(&entry.event)
        };
        let mut wanting: Vec<u32> = match &self.index {
            None => self.all.iter().filter(wants).map(|numbered| numbered.serial).collect(),
            Some(index) => {
                let seen = Seen::new(&entry.event);
                let candidates = index.candidates(&seen).filter_map(|serial| self.get(*serial));
                candidates.filter(wants).map(|numbered| numbered.serial).collect()
            }
        };
        wanting.sort_unstable();
        if self.once {
            wanting.truncate(1);
        }
        wanting.into()
    }

    pub(crate) fn get(&self, serial: u32) -> Option<&Numbered> {
        let at = self
            .all
            .binary_search_by_key(&serial, |numbered| numbered.serial)
            .ok()?;
        self.all.get(at)
    }

    /// Nothing is looked for any more.
    pub(crate) fn rest(&mut self) {
        self.index = None;
    }

    /// All of them.
    pub(crate) fn into_iter(self) -> impl Iterator<Item = Numbered> {
        self.all.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use sockeye_event::Event;
    use sockeye_log::Incarnation;

    use super::*;
    use crate::reached::Reached;
    use crate::segment;

    struct Nothing;

    impl Encoder for Nothing {
        fn name(&self) -> &'static str {
            "nothing"
        }

        fn encode(&self, _: &Event, _: &Position, _: &mut BytesMut) {}
    }

    fn entry(device: usize, channel: usize, offset: u64) -> Entry {
        let mut entry = segment::tests::entry(0, offset);
        entry.event.subject = Some(channel.to_string().into());
        entry.event.extensions = vec![("device".into(), device.to_string().as_str().into())];
        entry
    }

    /// Regression (seed 5956 of the simulation): a subscription that had not begun was told that retention had passed it,
    /// where it had passed only the place at which another one, gone meanwhile, had read.
    #[test]
    fn what_has_not_begun_begins_with_the_first_of_it() {
        let first = |starts: &[&[(u32, u64)]]| {
            let mut wishes = Wishes::new(false);
            for (number, start) in (0..).zip(starts) {
                let encoder = Arc::new(Nothing);
                let selection = Selection::default();
                let start = Some(Position::new(Incarnation(1), start.iter().copied()));
                let start = start.filter(|start| !start.offsets().is_empty());
                let id = (0..number).fold(SubscriptionId::FIRST, |id, _| id.next());
                wishes.add(id, Arc::new(Wish { selection, encoder }), start);
            }
            wishes.first_start().map(|start| start.offsets().to_vec())
        };
        assert_eq!(first(&[]), None);
        assert_eq!(first(&[&[(0, 10), (1, 3)]]), Some(vec![(0, 10), (1, 3)]));
        assert_eq!(
            first(&[&[(0, 10), (1, 3)], &[(0, 7), (1, 5)]]),
            Some(vec![(0, 7), (1, 3)])
        );
        assert_eq!(first(&[&[(0, 10)], &[]]), None, "one has begun");
    }

    /// Regression (seed 98098 of the simulation): what all had been given but one, which had gone, was read again, and where
    /// retention had removed it meanwhile the others were told that they missed it.
    #[test]
    fn what_only_one_that_went_was_not_given_is_passed() {
        let place = |offset| Position::new(Incarnation(1), [(0, offset)]);
        let mut wishes = wishes(3, false);
        let begins_later = wishes.add(
            SubscriptionId::FIRST.next(),
            Arc::clone(&wishes.all[0].wish),
            Some(place(6)),
        );
        assert_eq!(begins_later.serial, 3);
        let mut reached = Reached::from(place(5));
        reached.give(0, 5, 1);
        reached.settle(|partly| wishes.await_event(partly));
        assert_eq!(
            (reached.given(0, 5), &reached.position),
            (Some(1), &place(5)),
            "the third awaits it"
        );
        wishes.all.remove(2);
        reached.settle(|partly| wishes.await_event(partly));
        assert_eq!(reached, place(6).into());
    }

    /// A wish for each pair of a device and a channel, or any of them; the fifth begins later.
    fn wishes(count: usize, once: bool) -> Wishes {
        let mut wishes = Wishes::new(once);
        for number in 0..count {
            let some = |part: usize| (part > 0).then(|| (part - 1).to_string().into());
            let selection = Selection {
                device: some(number % 4),
                channel: some(number / 4 % 3),
                ..Selection::default()
            };
            let encoder = Arc::new(Nothing);
            let start = (number == 4).then(|| Position::new(Incarnation(1), [(0, 10)]));
            wishes.add(SubscriptionId::FIRST, Arc::new(Wish { selection, encoder }), start);
        }
        wishes
    }

    /// Few are tried one by one, many are looked for: the answer is the same.
    #[test]
    fn who_is_looked_for_is_found() {
        for count in [1, 2, FEW, FEW + 1, 24] {
            let mut all = wishes(count, false);
            let mut one = wishes(count, true);
            for (device, channel, offset, given) in (0..3)
                .flat_map(|device| (0..2).map(move |channel| (device, channel)))
                .flat_map(|(device, channel)| [(device, channel, 9, None), (device, channel, 10, Some(4))])
            {
                let entry = entry(device, channel, offset);
                let wants = |number: &u32| {
                    let (of_device, of_channel) = (*number as usize % 4, *number as usize / 4 % 3);
                    [0, device + 1].contains(&of_device)
                        && [0, channel + 1].contains(&of_channel)
                        && (*number != 4 || offset >= 10)
                        && given.is_none_or(|given| *number > given)
                };
                let expected: Vec<_> = (0..count as u32).filter(wants).collect();
                assert_eq!(all.wanting(&entry, given), expected);
                if given.is_none() {
                    assert_eq!(one.wanting(&entry, None), &expected[..expected.len().min(1)]);
                }
            }
            assert_eq!(all.index.is_some(), count > FEW);
        }
    }
}
