//! Where events of one connection come from: its lane, or, while it is behind, memory and the past.

use std::pin::pin;
use std::sync::Arc;

use jiff::Timestamp;
use sockeye_log::{Incarnation, Log, Position, ReadError, Topic};
use tokio::time::{Instant, timeout_at};

use crate::catch_up::Ticket;
use crate::due::Due;
use crate::lanes::LaneId;
use crate::metrics::{Counters, Open};
use crate::outlet::Member;
use crate::reached::Reached;
use crate::shard::Shard;
use crate::subscription::SubscriptionId;
use crate::topic::{Lane, Membership, OwnLane, Place, Reading};
use crate::until::Until;
use crate::wishes::{Wish, Wishes};

/// The way of some subscriptions through a topic, at one place together, without gap or duplicate.
pub(crate) struct Feed {
    log: Arc<dyn Log>,
    reading: Reading,
    wishes: Wishes,
    /// Whether frames of lanes are compressed: one that a single socket gets is not worth it.
    deflate: bool,
    shard: Shard,
    counters: Arc<Counters>,
    /// Who wants an end of its own reads by itself all the time.
    until: Option<Until>,
    /// Nothing was read yet, and what retention removes meanwhile is not missed.
    what_is_left: bool,
    /// Whether it is not the one that the live subscriptions of its topic share.
    is_apart: bool,
    /// It is at the head, and another feed of its topic is to take it in.
    is_waiting: bool,
    /// Who goes gets what is there first: until then no lane is joined.
    last: Option<Box<Last>>,
    mode: Mode,
    /// While there are several wishes. (Behind the mode: who is dropped leaves the lane first.)
    own: Option<OwnLane>,
}

/// What a feed begins with.
pub(crate) struct Wanted {
    pub(crate) id: SubscriptionId,
    pub(crate) wish: Wish,
    pub(crate) start: Position,
    pub(crate) is_apart: bool,
    pub(crate) what_is_left: bool,
    pub(crate) until: Option<Timestamp>,
    /// An event goes to the first subscription that wants it.
    pub(crate) once: bool,
    /// permessage-deflate was agreed on.
    pub(crate) deflate: bool,
}

enum Mode {
    /// The lane writes.
    Live(Membership, Recall),
    /// The connection's task reads by itself, from here on.
    Behind {
        /// What was given.
        reached: Reached,
        /// While it waits for something of the past.
        ticket: Option<Ticket>,
        _counted: Open,
    },
}

/// Whether the task wants the socket back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recall {
    No,
    Wanted,
    Asked,
}

/// What a subscription that goes is still to get.
#[derive(Clone, Debug)]
pub(crate) struct Last {
    /// All before it,
    pub(crate) place: Position,
    /// as far as the log has shown it then.
    pub(crate) patience: Instant,
}

/// What a connection that reads by itself gets.
pub(crate) enum Fed {
    /// Events, some of which may be wanted.
    Events(Due),
    /// Nothing more to read: from now on the lane writes.
    Live,
    /// Nothing more to read: another feed is at this place, or will be.
    Head,
    /// Nothing more to read: what a subscription waited for was not shown in time.
    Late,
    /// Nothing more is wanted.
    Complete,
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
        let mode = Mode::Behind {
            reached: wanted.start.into(),
            ticket: None,
            _counted: counters.behind(),
        };
        let mut wishes = Wishes::new(wanted.once);
        wishes.add(wanted.id, Arc::new(wanted.wish), None);
        Self {
            log,
            reading,
            wishes,
            deflate: wanted.deflate,
            shard,
            counters: Arc::clone(counters),
            is_apart: wanted.is_apart || wanted.until.is_some(),
            until: wanted.until.map(Until::new),
            what_is_left: wanted.what_is_left,
            is_waiting: false,
            last: None,
            mode,
            own: None,
        }
    }

    /// What is wanted.
    pub(crate) fn wishes(&mut self) -> &mut Wishes {
        &mut self.wishes
    }

    /// Whether its lane writes.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.mode, Mode::Live(..))
    }

    /// Whether this lane writes.
    pub(crate) fn is_in(&self, lane: LaneId) -> bool {
        matches!(&self.mode, Mode::Live(membership, _) if membership.lane() == lane)
    }

    /// Whether it reads this topic.
    pub(crate) fn reads(&self, topic: &Topic, incarnation: Incarnation) -> bool {
        self.reading.topic.is(topic, incarnation)
    }

    /// What it reads.
    pub(crate) fn topic(&self) -> &Topic {
        self.reading.topic.name()
    }

    /// Whether both read the same topic.
    pub(crate) fn is_beside(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.reading.topic, &other.reading.topic)
    }

    /// Whether it is not the one that the live subscriptions of its topic share.
    pub(crate) fn is_apart(&self) -> bool {
        self.is_apart
    }

    /// Whether another feed is to take it in.
    pub(crate) fn is_waiting(&self) -> bool {
        self.is_waiting
    }

    /// Whether [`Feed::next`] has something to do, or will have.
    pub(crate) fn is_hungry(&self) -> bool {
        !matches!(self.mode, Mode::Live(_, Recall::No | Recall::Asked))
    }

    /// Behind what was given; the head of the topic is not told while the lane writes.
    pub(crate) fn position(&self) -> Option<&Position> {
        match &self.mode {
            Mode::Live(..) => None,
            Mode::Behind { reached, .. } => Some(&reached.position),
        }
    }

    /// Whether something before the place was not given yet. Then no lane is joined before it is.
    pub(crate) fn stay_for(&mut self, last: &Last) -> bool {
        let stays = self.position().is_some_and(|position| last.is_awaited_at(position));
        self.last = stays.then(|| Box::new(last.clone()));
        stays
    }

    /// The lane has given the socket back: the task reads on from here.
    pub(crate) fn fall_behind(&mut self, reached: Reached) {
        let behind = Mode::Behind {
            reached,
            ticket: None,
            _counted: self.counters.behind(),
        };
        if let Mode::Live(membership, _) = std::mem::replace(&mut self.mode, behind) {
            membership.given_back();
        }
    }

    /// The task wants the socket back.
    pub(crate) fn recall(&mut self) {
        if let Mode::Live(_, recall @ Recall::No) = &mut self.mode {
            *recall = Recall::Wanted;
        }
    }

    /// One more subscription, which reads on with the others from its start. Not while the lane writes.
    pub(crate) fn add(&mut self, id: SubscriptionId, wish: Arc<Wish>, start: Option<Position>) {
        let passed = |start: &Position| self.position().is_some_and(|position| position.is_at_or_behind(start));
        let start = start.filter(|start| !passed(start));
        let numbered = self.wishes.add(id, wish, start);
        if let Some(own) = &self.own {
            own.add(numbered.serial, &numbered.wish);
        }
    }

    /// One subscription less. Not while the lane writes.
    pub(crate) fn remove(&mut self, id: SubscriptionId) {
        self.last = None;
        if let Some(removed) = self.wishes.remove(id)
            && let Some(own) = &self.own
        {
            own.take(removed.serial);
        }
        if let Mode::Behind { reached, ticket, .. } = &mut self.mode {
            let asked = reached.position.clone();
            // What only the one that went had to read is not read for the others, and retention may have passed it.
            if let Some(start) = self.wishes.first_start() {
                reached.move_to(&start);
            }
            reached.settle(|partly| self.wishes.await_event(partly));
            if reached.position != asked {
                *ticket = None;
            }
        }
    }

    /// Whether all that this feed was given is behind what the other was, or at the same place.
    pub(crate) fn may_take_in(&self, other: &Self) -> bool {
        match (&self.mode, &other.mode) {
            (Mode::Behind { reached, .. }, Mode::Behind { reached: far, .. }) => {
                other.until.is_none() && far.partly.is_empty() && far.position.is_at_or_behind(&reached.position)
            }
            _ => false,
        }
    }

    /// Reads on for the subscriptions of the other feed too, each from where it is.
    pub(crate) fn take_in(&mut self, other: Self) {
        let from = other.position().cloned();
        self.what_is_left &= other.what_is_left;
        for numbered in other.wishes.into_iter() {
            let mut start = from.clone();
            for (partition, next) in numbered.start.iter().flat_map(|start| start.offsets()) {
                if let Some(start) = &mut start {
                    start.advance(*partition, *next);
                }
            }
            self.add(numbered.id, numbered.wish, start);
        }
    }

    /// Takes back events that were not given, for nothing is held while the socket is full: whoever is slow finds them in
    /// memory again, or has them read again.
    pub(crate) fn put_back(&mut self, due: Due) {
        if let Mode::Behind { reached, .. } = &mut self.mode {
            *reached = due.reached();
        }
    }

    /// Nothing is wanted before the socket has room again.
    pub(crate) fn rest(&mut self) {
        if let Mode::Behind { ticket, .. } = &mut self.mode {
            *ticket = None;
        }
    }

    /// The next events; at the head, the lane, or the feed that will take this one in if it may not `join`. A lane is joined
    /// only with a socket that has nothing else to write, that is if it is `drained`. While the lane writes: asks for the
    /// socket back if that is wanted. Waits for ever where there is nothing to do. May be dropped and called again without
    /// loss.
    pub(crate) async fn next(&mut self, member: &Arc<dyn Member>, drained: bool, join: bool) -> Result<Fed, ReadError> {
        let (reached, ticket) = match &mut self.mode {
            Mode::Behind { reached, ticket, .. } => (reached, ticket),
            Mode::Live(membership, recall) => {
                if *recall == Recall::Wanted
                    && let Some(room) = self.shard.reserve().await
                {
                    membership.recall(Arc::clone(member), room);
                    *recall = Recall::Asked;
                }
                return std::future::pending().await;
            }
        };
        let topic = &self.reading.topic;
        loop {
            let position = &reached.position;
            if let Some(until) = &mut self.until {
                until.look(&*self.log, topic.name()).await?;
                if until.is_reached(position) {
                    // What is on its way is not cut off by the time that a Close may take.
                    return if drained {
                        Ok(Fed::Complete)
                    } else {
                        std::future::pending().await
                    };
                }
            }
            let starts = self.wishes.await_start(position);
            // Enabled before the place is asked for, so that no move is missed.
            let mut moved = pin!(topic.moved());
            moved.as_mut().enable();
            match topic.place(position) {
                Place::Ended(error) => return Err(error),
                Place::Memory(segment) => {
                    *ticket = None;
                    self.what_is_left = false;
                    return Ok(Fed::Events(Due::take(segment, reached, self.until.as_ref())));
                }
                Place::Head | Place::Beyond if let Some(until) = &self.until => tokio::select! {
                    () = moved => {}
                    () = until.wait() => {}
                },
                Place::Head | Place::Beyond
                    if let Some(last) = self.last.as_ref().filter(|last| last.is_awaited_at(position)) =>
                {
                    if timeout_at(last.patience, moved).await.is_err() {
                        return Ok(Fed::Late);
                    }
                }
                // Behind the head is what the others have already.
                Place::Head if starts => moved.await,
                Place::Head if !join => {
                    if !std::mem::replace(&mut self.is_waiting, true) {
                        return Ok(Fed::Head);
                    }
                    moved.await;
                }
                Place::Head => {
                    let room = if drained { self.shard.reserve().await } else { None };
                    let Some(room) = room else {
                        return std::future::pending().await;
                    };
                    let lane = match (self.wishes.only(), &mut self.own) {
                        (Some(wish), own) => {
                            *own = None;
                            Lane::Shared(wish, self.deflate)
                        }
                        (None, own) => Lane::Own(
                            own.get_or_insert_with(|| topic.own_lane(&self.wishes, self.deflate, &self.shard.metrics)),
                        ),
                    };
                    if let Some(membership) = topic.join(position, lane, Arc::clone(member), &self.shard, room) {
                        self.wishes.rest();
                        (self.what_is_left, self.is_apart, self.is_waiting) = (false, false, false);
                        self.mode = Mode::Live(membership, Recall::No);
                        return Ok(Fed::Live);
                    }
                }
                Place::Beyond => moved.await,
                Place::Past => {
                    let asked = ticket.get_or_insert_with(|| topic.ask(position));
                    // Who asked is answered for as long as the topic is read.
                    let Ok(answer) = asked.await else {
                        return std::future::pending().await;
                    };
                    *ticket = None;
                    match answer {
                        Ok(segment) => {
                            self.what_is_left = false;
                            return Ok(Fed::Events(Due::take(segment, reached, self.until.as_ref())));
                        }
                        Err(ReadError::Trimmed { oldest }) if self.what_is_left => {
                            reached.move_to(&oldest);
                        }
                        Err(error) => return Err(error),
                    }
                }
            }
        }
    }
}

impl Last {
    /// Whether who has come to this position waits. A place in another log is never reached.
    fn is_awaited_at(&self, position: &Position) -> bool {
        position.incarnation() == self.place.incarnation() && !position.is_at_or_behind(&self.place)
    }
}
