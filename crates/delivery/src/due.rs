//! Events that a connection reads by itself, on their way to its socket.

use std::collections::VecDeque;
use std::sync::Arc;
use std::vec;

use bytes::Bytes;

use crate::reached::Reached;
use crate::segment::{Entry, Segment};
use crate::session::text_frame;
use crate::until::Until;
use crate::wishes::{Wish, Wishes};

/// What a reader has not seen of a segment.
pub(crate) struct Due {
    segment: Arc<Segment>,
    unseen: vec::IntoIter<usize>,
    /// The event whose frames are being taken, and who is to get it.
    current: Option<(usize, VecDeque<u32>)>,
    /// Behind what was taken.
    reached: Reached,
}

// ----------------------------------------------------------------------------------------------

impl Due {
    /// What a reader that has come so far has not seen; it moves behind.
    pub(crate) fn take(segment: Arc<Segment>, reached: &mut Reached, until: Option<&Until>) -> Self {
        let due = Self::of(segment, reached, until);
        reached.move_to(&due.segment.next);
        due
    }

    /// What a reader that has come so far has not seen.
    fn of(segment: Arc<Segment>, reached: &Reached, until: Option<&Until>) -> Self {
        let wanted = |at: &usize| until.is_none_or(|until| until.wants(&segment.entries[*at]));
        let unseen: Vec<usize> = segment.after(&reached.position).filter(wanted).collect();
        Self {
            segment,
            unseen: unseen.into_iter(),
            current: None,
            reached: reached.clone(),
        }
    }

    /// Whether all was taken.
    pub(crate) fn is_done(&self) -> bool {
        self.unseen.len() == 0 && self.current.is_none()
    }

    /// How far a reader has come with what was taken.
    pub(crate) fn reached(self) -> Reached {
        self.reached
    }

    /// The next frame that is wanted.
    pub(crate) fn frame(&mut self, wishes: &mut Wishes) -> Option<Bytes> {
        match wishes.only() {
            Some(wish) if self.reached.partly.is_empty() => self.frame_of_one(wish),
            _ => self.frame_of_several(wishes),
        }
    }

    fn frame_of_one(&mut self, wish: &Wish) -> Option<Bytes> {
        loop {
            let entry = &self.segment.entries[self.unseen.next()?];
            self.reached.position.advance(entry.partition, entry.offset + 1);
            if wish.selection.wants(&entry.event)
                && let Some(frame) = text_frame(&*wish.encoder, &entry.event, entry.place(), &self.reached.position)
            {
                return Some(frame);
            }
        }
    }

    fn frame_of_several(&mut self, wishes: &mut Wishes) -> Option<Bytes> {
        loop {
            if self.current.is_none() {
                let at = self.unseen.next()?;
                let entry = &self.segment.entries[at];
                let given = self.reached.given(entry.partition, entry.offset);
                self.current = Some((at, wishes.wanting(entry, given)));
            }
            let (at, wanting) = self.current.as_mut()?;
            let entry = &self.segment.entries[*at];
            let Entry { partition, offset, .. } = *entry;
            let wanted = wanting.pop_front().and_then(|serial| wishes.get(serial));
            let is_last = wanting.is_empty();
            let mut behind = self.reached.position.clone();
            match wanted {
                Some(wanted) if !is_last => self.reached.give(partition, offset, wanted.serial),
                _ => {
                    self.reached.pass(partition, offset);
                    self.current = None;
                }
            }
            let Some(wanted) = wanted else { continue };
            behind.advance(partition, offset + 1);
            // It may have seen more than the others: what is before its start, and of other partitions what was given in part.
            for partly in self
                .reached
                .partly
                .iter()
                .filter(|partly| partly.serial >= wanted.serial)
            {
                behind.advance(partly.partition, partly.offset + 1);
            }
            for (partition, next) in wanted.start.iter().flat_map(|start| start.offsets()) {
                behind.advance(*partition, *next);
            }
            if let Some(frame) = text_frame(&*wanted.wish.encoder, &entry.event, entry.place(), &behind) {
                return Some(frame);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use jiff::Timestamp;
    use sockeye_event::{Event, binary};
    use sockeye_log::{Batch, Incarnation, Position, Record, Topic};

    use super::*;
    use crate::segment::Cut;
    use crate::session::Encoder;
    use crate::subscription::{Selection, SubscriptionId};

    /// Tells which subscription it is of, and the event's id.
    struct Told(u8);

    impl Encoder for Told {
        fn name(&self) -> &'static str {
            "told"
        }

        fn encode(&self, event: &Event, _: &Position, out: &mut BytesMut) {
            out.extend_from_slice(&[self.0]);
            out.extend_from_slice(event.id.as_bytes());
        }
    }

    /// What so many subscriptions want that want everything.
    fn wishes(count: u8) -> Wishes {
        let mut wishes = Wishes::new(false);
        for number in 0..count {
            let wish = Wish {
                selection: Selection::default(),
                encoder: Arc::new(Told(number)),
            };
            wishes.add(SubscriptionId::FIRST, Arc::new(wish), None);
        }
        wishes
    }

    /// A segment with these records, named by partition and offset, in this order.
    fn segment(from: &Position, order: &[(u32, u64)]) -> Arc<Segment> {
        let mut next = from.clone();
        let mut records = Vec::new();
        for (partition, offset) in order {
            next.advance(*partition, offset + 1);
            let (headers, payload) = binary::encode(&Event {
                id: format!("{partition}:{offset}").into(),
                source: "s".into(),
                ty: "t".into(),
                data_content_type: None,
                data_schema: None,
                subject: None,
                time: None,
                extensions: Vec::new(),
                data: None,
            });
            records.push(Record {
                partition: *partition,
                offset: *offset,
                time: Timestamp::UNIX_EPOCH,
                headers,
                payload,
            });
        }
        let batch = Batch { records, next };
        let metrics = crate::Metrics::default();
        let topic = Topic::events_of("app");
        let mut whole = Cut::new(&topic, from.clone(), batch, usize::MAX, |bytes| metrics.hold(bytes));
        Arc::new(whole.next().unwrap())
    }

    /// What a reader gets that has come so far, each with how far it is then.
    fn given(segment: &Arc<Segment>, reached: &Reached, wishes: &mut Wishes) -> Vec<(Bytes, Reached)> {
        let mut due = Due::of(Arc::clone(segment), reached, None);
        let all = std::iter::from_fn(|| {
            let frame = due.frame(wishes)?;
            Some((frame.slice(2..), due.reached.clone()))
        });
        let all = all.collect();
        assert!(due.is_done());
        all
    }

    /// Partitions are mixed in another order each time they are read: a reader that goes on from any place it has come to gets
    /// what it had not, once, and so does each of several subscriptions.
    #[test]
    fn a_place_holds_however_partitions_are_mixed() {
        let from = Position::new(Incarnation(1), [(0, 3)]);
        let orders = [
            [(0, 3), (0, 4), (1, 0), (1, 2), (2, 7)],
            [(2, 7), (1, 0), (0, 3), (1, 2), (0, 4)],
            [(1, 0), (0, 3), (2, 7), (0, 4), (1, 2)],
        ];
        for count in 1..=3 {
            let mut wishes = wishes(count);
            let places = orders[0]
                .iter()
                .map(|(partition, offset)| format!("{partition}:{offset}"));
            let places: Vec<_> = places.collect();
            let each = |number: u8| places.iter().map(move |place| [&[number], place.as_bytes()].concat());
            let all: Vec<Bytes> = (0..count).flat_map(each).map(Bytes::from).collect();
            for number in 0..27 {
                let [first, second, third] = [number / 9, number / 3 % 3, number % 3].map(|at| &orders[at]);
                let whole = given(&segment(&from, first), &from.clone().into(), &mut wishes);
                assert_eq!(whole.len(), all.len());
                for (at, (_, reached)) in (1..).zip(&whole) {
                    let rest = given(&segment(&from, second), reached, &mut wishes);
                    for (then, reached) in std::iter::once((0, reached)).chain((1..).zip(rest.iter().map(|(_, r)| r))) {
                        let last = given(&segment(&from, third), reached, &mut wishes);
                        let parts = whole[..at].iter().chain(&rest[..then]).chain(&last);
                        let mut got: Vec<_> = parts.map(|(frame, _)| frame.clone()).collect();
                        got.sort_unstable();
                        assert_eq!(got, all, "{first:?}, {at}, then {second:?}, {then}, then {third:?}");
                    }
                }
            }
        }
    }
}
