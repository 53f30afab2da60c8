//! Where the events of one connection come from: its lane, or, while it is behind, memory and the past.

use std::pin::pin;
use std::sync::Arc;
use std::vec;

use jiff::Timestamp;
use sockeye_event::Event;
use sockeye_log::{Log, Position, ReadError};

use crate::catch_up::Ticket;
use crate::lanes::{LaneId, LaneKey};
use crate::metrics::{Counters, Open};
use crate::outlet::Member;
use crate::segment::Segment;
use crate::session::Encoder;
use crate::shard::Shard;
use crate::subscription::Selection;
use crate::topic::{Membership, Place, Reading};
use crate::until::Until;

/// One subscription's way through the topic, without gap or duplicate.
pub(crate) struct Feed {
    log: Arc<dyn Log>,
    reading: Reading,
    key: LaneKey,
    encoder: Arc<dyn Encoder>,
    shard: Shard,
    counters: Arc<Counters>,
    /// Who wants an end of its own reads by itself all the time.
    until: Option<Until>,
    /// Nothing was read yet, and what retention removes meanwhile is not missed.
    what_is_left: bool,
    mode: Mode,
}

/// What a connection wants of its topic.
pub(crate) struct Wanted {
    pub(crate) key: LaneKey,
    pub(crate) encoder: Arc<dyn Encoder>,
    pub(crate) start: Position,
    pub(crate) what_is_left: bool,
    pub(crate) until: Option<Timestamp>,
}

enum Mode {
    /// The lane writes.
    Live(Membership),
    /// The connection's task reads by itself, from here on.
    Behind {
        /// Behind what was given.
        position: Position,
        /// While it waits for something of the past.
        ticket: Option<Ticket>,
        _counted: Open,
    },
}

/// What a connection that reads by itself gets.
pub(crate) enum Fed {
    /// Events, some of which may be wanted.
    Events(Due),
    /// Nothing more to read: from now on the lane writes.
    Live,
    /// Nothing more is wanted.
    Complete,
}

/// Events on their way to a socket.
pub(crate) struct Due {
    segment: Arc<Segment>,
    unseen: vec::IntoIter<usize>,
    /// Behind the event that was taken last.
    behind: Position,
}

// ----------------------------------------------------------------------------------------------

impl Feed {
    pub(crate) fn new(
        log: Arc<dyn Log>,
        reading: Reading,
        wanted: Wanted,
        shard: Shard,
        counters: &Arc<Counters>,
    ) -> Self {
        let Wanted {
            key,
            encoder,
            start,
            what_is_left,
            until,
        } = wanted;
        let mode = Mode::Behind {
            position: start,
            ticket: None,
            _counted: counters.behind(),
        };
        Self {
            log,
            reading,
            key,
            encoder,
            shard,
            counters: Arc::clone(counters),
            until: until.map(Until::new),
            what_is_left,
            mode,
        }
    }

    /// How events look.
    pub(crate) fn encoder(&self) -> &dyn Encoder {
        &*self.encoder
    }

    /// Whether its lane writes.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.mode, Mode::Live(_))
    }

    /// Whether this lane writes.
    pub(crate) fn is_in(&self, lane: LaneId) -> bool {
        matches!(&self.mode, Mode::Live(membership) if membership.lane() == lane)
    }

    /// Which events are wanted.
    pub(crate) fn selection(&self) -> &Selection {
        &self.key.selection
    }

    /// Behind what was given; the head of the topic is not told while the lane writes.
    pub(crate) fn position(&self) -> Option<&Position> {
        match &self.mode {
            Mode::Live(_) => None,
            Mode::Behind { position, .. } => Some(position),
        }
    }

    /// The lane has given the socket back: the task reads on from here.
    pub(crate) fn fall_behind(&mut self, position: Position) {
        let behind = Mode::Behind {
            position,
            ticket: None,
            _counted: self.counters.behind(),
        };
        if let Mode::Live(membership) = std::mem::replace(&mut self.mode, behind) {
            membership.given_back();
        }
    }

    /// Takes back events that were not given, for nothing is held while the socket is full: whoever is slow finds them in
    /// memory again, or has them read again.
    pub(crate) fn put_back(&mut self, due: Due) {
        if let Mode::Behind { position, .. } = &mut self.mode {
            *position = due.behind;
        }
    }

    /// Nothing is wanted before the socket has room again.
    pub(crate) fn rest(&mut self) {
        if let Mode::Behind { ticket, .. } = &mut self.mode {
            *ticket = None;
        }
    }

    /// The next events; at the head, the lane. A lane is joined only with a socket that has nothing else to write, that is
    /// if there is a `member`. Waits for ever where there is nothing to do. May be dropped and called again without loss.
    pub(crate) async fn next(&mut self, member: Option<&Arc<dyn Member>>) -> Result<Fed, ReadError> {
        let Mode::Behind { position, ticket, .. } = &mut self.mode else {
            return std::future::pending().await;
        };
        loop {
            if let Some(until) = &mut self.until {
                until.look(&*self.log, self.reading.topic.name()).await?;
                if until.is_reached(position) {
                    // What is on its way is not cut off by the time that a Close may take.
                    return match member {
                        Some(_) => Ok(Fed::Complete),
                        None => std::future::pending().await,
                    };
                }
            }
            // Enabled before the place is asked for, so that no move is missed.
            let mut moved = pin!(self.reading.topic.moved());
            moved.as_mut().enable();
            match self.reading.topic.place(position) {
                Place::Ended(error) => return Err(error),
                Place::Memory(segment) => {
                    *ticket = None;
                    self.what_is_left = false;
                    return Ok(Fed::Events(Due::take(segment, position, self.until.as_ref())));
                }
                Place::Head | Place::Beyond if let Some(until) = &self.until => tokio::select! {
                    () = moved => {}
                    () = until.wait() => {}
                },
                Place::Head => {
                    let Some(member) = member else {
                        return std::future::pending().await;
                    };
                    let Some(room) = self.shard.reserve().await else {
                        return std::future::pending().await;
                    };
                    let (key, encoder) = (self.key.clone(), Arc::clone(&self.encoder));
                    let topic = &self.reading.topic;
                    if let Some(membership) = topic.join(position, key, encoder, Arc::clone(member), &self.shard, room)
                    {
                        self.what_is_left = false;
                        self.mode = Mode::Live(membership);
                        return Ok(Fed::Live);
                    }
                }
                Place::Beyond => moved.await,
                Place::Past => {
                    let asked = ticket.get_or_insert_with(|| self.reading.topic.ask(position));
                    // Who asked is answered for as long as the topic is read.
                    let Ok(answer) = asked.await else {
                        return std::future::pending().await;
                    };
                    *ticket = None;
                    match answer {
                        Ok(segment) => {
                            self.what_is_left = false;
                            return Ok(Fed::Events(Due::take(segment, position, self.until.as_ref())));
                        }
                        Err(ReadError::Trimmed { oldest }) if self.what_is_left => merge(position, &oldest),
                        Err(error) => return Err(error),
                    }
                }
            }
        }
    }
}

/// Moves a position forward in every partition.
fn merge(position: &mut Position, to: &Position) {
    for (partition, next) in to.offsets() {
        position.advance(*partition, *next);
    }
}

impl Due {
    /// What a reader at this position has not seen; it moves behind.
    fn take(segment: Arc<Segment>, position: &mut Position, until: Option<&Until>) -> Self {
        let due = Self::of(segment, position, until);
        merge(position, &due.segment.next);
        due
    }

    /// What a reader at this position has not seen.
    fn of(segment: Arc<Segment>, position: &Position, until: Option<&Until>) -> Self {
        let wanted = |at: &usize| until.is_none_or(|until| until.wants(&segment.entries[*at]));
        let unseen: Vec<usize> = segment.after(position).filter(wanted).collect();
        Self {
            segment,
            unseen: unseen.into_iter(),
            behind: position.clone(),
        }
    }

    /// Whether all of them were taken.
    pub(crate) fn is_done(&self) -> bool {
        self.unseen.len() == 0
    }

    /// Takes the next event, with the position behind it.
    pub(crate) fn next(&mut self) -> Option<(&Event, &Position)> {
        let at = self.unseen.next()?;
        let entry = &self.segment.entries[at];
        self.behind.advance(entry.partition, entry.offset + 1);
        Some((&entry.event, &self.behind))
    }
}

#[cfg(test)]
mod tests {
    use sockeye_event::binary;
    use sockeye_log::{Batch, Incarnation, Record, Topic};

    use super::*;
    use crate::segment::Cut;

    /// A segment with these records, named by partition and offset, in this order.
    fn segment(from: &Position, order: &[(u32, u64)]) -> Arc<Segment> {
        let event = Event {
            id: "1".into(),
            source: "s".into(),
            ty: "t".into(),
            data_content_type: None,
            data_schema: None,
            subject: None,
            time: None,
            extensions: Vec::new(),
            data: None,
        };
        let (headers, payload) = binary::encode(&event);
        let record = |(partition, offset): &(u32, u64)| Record {
            partition: *partition,
            offset: *offset,
            time: Timestamp::UNIX_EPOCH,
            headers: headers.clone(),
            payload: payload.clone(),
        };
        let mut next = from.clone();
        for (partition, offset) in order {
            next.advance(*partition, offset + 1);
        }
        let records = order.iter().map(record).collect();
        let batch = Batch { records, next };
        let metrics = crate::Metrics::default();
        let topic = Topic::events_of("app");
        let mut whole = Cut::new(&topic, from.clone(), batch, usize::MAX, |bytes| metrics.hold(bytes));
        Arc::new(whole.next().unwrap())
    }

    /// The places that a reader at this position gets, each with the position behind it.
    fn given(segment: &Arc<Segment>, position: &Position) -> Vec<((u32, u64), Position)> {
        let mut due = Due::of(Arc::clone(segment), position, None);
        let places: Vec<_> = due.unseen.clone().collect();
        let place = |at: usize| (segment.entries[at].partition, segment.entries[at].offset);
        let behind = std::iter::from_fn(|| due.next().map(|(_, behind)| behind.clone()));
        let behind: Vec<_> = behind.collect();
        places.into_iter().map(place).zip(behind).collect()
    }

    /// Partitions are mixed in another order each time they are read: a reader that goes on from any position it was given
    /// gets what it had not, once.
    #[test]
    fn a_position_holds_however_partitions_are_mixed() {
        let from = Position::new(Incarnation(1), [(0, 3)]);
        let orders = [
            [(0, 3), (0, 4), (1, 0), (1, 2), (2, 7)],
            [(2, 7), (1, 0), (0, 3), (1, 2), (0, 4)],
            [(1, 0), (0, 3), (2, 7), (0, 4), (1, 2)],
        ];
        for first in &orders {
            let whole = given(&segment(&from, first), &from);
            assert_eq!(whole.len(), first.len());
            for (count, (_, behind)) in (1..).zip(&whole) {
                for second in &orders {
                    let rest = given(&segment(&from, second), behind);
                    let mut all: Vec<_> = whole[..count].iter().chain(&rest).map(|(place, _)| *place).collect();
                    all.sort_unstable();
                    assert_eq!(all, orders[0], "{first:?}, {count}, then {second:?}");
                    let next = &segment(&from, second).next;
                    assert!(rest.iter().all(|(_, behind)| next.is_at_or_behind(behind)));
                }
            }
        }
    }
}
