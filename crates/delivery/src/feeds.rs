//! The feeds of one connection: for each topic the one that its live subscriptions share, and those that read apart until they
//! have caught up.
//!
//! All changes are made while the task reads: a lane that writes is asked for the socket first, at the head of its topic. So
//! subscriptions come and go, and feeds become one, at a place that is known.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use sockeye_limits as limits;
use sockeye_log::{Position, ReadError, Topic};

use crate::delivery::Delivery;
use crate::due::Due;
use crate::feed::{Fed, Feed, Last, Wanted};
use crate::lanes::LaneId;
use crate::metrics::Counters;
use crate::outlet::Member;
use crate::reached::Reached;
use crate::remote::NewSubscription;
use crate::session::Encoder;
use crate::subscription::{Subscription, SubscriptionId};
use crate::wishes::Wish;

/// What a connection reads.
pub(crate) struct Feeds {
    delivery: Arc<Delivery>,
    counters: Arc<Counters>,
    /// permessage-deflate was agreed on.
    deflate: bool,
    /// An event goes to the first subscription that wants it.
    once: bool,
    /// Those whose turn is next come first.
    all: Vec<Feed>,
    /// Where shared feeds were when their last subscription ended, by topic: what was given is not given again to one that was
    /// asked for meanwhile.
    left: Vec<(Topic, Position)>,
}

/// The socket has to be given back first, which was asked for, or something is still to come.
pub(crate) struct NotYet;

// ----------------------------------------------------------------------------------------------

impl Feeds {
    pub(crate) fn new(delivery: Arc<Delivery>, counters: Arc<Counters>, deflate: bool, once: bool) -> Self {
        Self {
            delivery,
            counters,
            deflate,
            once,
            all: Vec::new(),
            left: Vec::new(),
        }
    }

    /// The subscription with which the connection begins.
    pub(crate) fn begin(&mut self, what: Subscription, encoder: Arc<dyn Encoder>) {
        let is_live = what.start.is_at_or_behind(&what.end);
        self.open(SubscriptionId::FIRST, what, encoder, is_live);
    }

    /// One more subscription. What it gets is behind what is sent before the next event.
    pub(crate) fn subscribe(&mut self, id: SubscriptionId, new: &NewSubscription) -> Result<(), NotYet> {
        let (mut what, encoder) = (new.what.clone(), Arc::clone(&new.encoder));
        what.until = None;
        let shared = |feed: &&mut Feed| !feed.is_apart() && feed.reads(&what.topic, what.end.incarnation());
        if new.is_live
            && let Some(feed) = self.all.iter_mut().find(shared)
        {
            if feed.is_live() {
                feed.recall();
                return Err(NotYet);
            }
            let selection = what.selection;
            feed.add(id, Arc::new(Wish { selection, encoder }), Some(what.start));
            self.counters.subscriptions.inc();
        } else {
            if new.is_live {
                self.pass_what_was_given(&mut what);
            }
            self.open(id, what, encoder, new.is_live);
        }
        Ok(())
    }

    /// Moves the start of a live subscription behind what the connection was given before.
    fn pass_what_was_given(&self, what: &mut Subscription) {
        let left = self.left.iter().find(|(topic, _)| *topic == what.topic);
        if let Some((_, left)) = left.filter(|(_, left)| left.incarnation() == what.start.incarnation()) {
            for (partition, next) in left.offsets() {
                what.start.advance(*partition, *next);
            }
        }
    }

    /// One more, at a place of its own.
    fn open(&mut self, id: SubscriptionId, what: Subscription, encoder: Arc<dyn Encoder>, is_live: bool) {
        let wanted = Wanted {
            id,
            wish: Wish {
                selection: what.selection,
                encoder,
            },
            start: what.start,
            is_apart: !is_live,
            what_is_left: what.what_is_left,
            until: what.until,
            once: self.once,
            deflate: self.deflate,
        };
        let feed = self.delivery.feed(&what.topic, &what.end, wanted, &self.counters);
        if self.all.is_empty() {
            // Most connections have no more.
            self.all.reserve_exact(1);
        }
        self.all.push(feed);
        self.counters.subscriptions.inc();
    }

    /// One subscription less; whether it was there. Nothing more comes of it. A live one, or one that fell behind, gets what is
    /// still to come first.
    pub(crate) fn unsubscribe(&mut self, id: SubscriptionId, last: Option<&Last>) -> Result<bool, NotYet> {
        let Some(at) = self.all.iter_mut().position(|feed| feed.wishes().has(id)) else {
            return Ok(false);
        };
        let feed = &mut self.all[at];
        if feed.is_live() {
            feed.recall();
            return Err(NotYet);
        }
        if !feed.is_apart() && last.is_some_and(|last| feed.stay_for(last)) {
            return Err(NotYet);
        }
        feed.remove(id);
        self.counters.subscriptions.dec();
        if feed.wishes().is_empty() {
            let feed = self.all.remove(at);
            if !feed.is_apart() {
                self.note_left(&feed);
            }
        }
        Ok(true)
    }

    fn note_left(&mut self, feed: &Feed) {
        let Some(position) = feed.position() else { return };
        self.left.retain(|(topic, _)| topic != feed.topic());
        self.left.push((feed.topic().clone(), position.clone()));
    }

    /// What the next of the feeds gets, and which it is. Waits for ever where there is nothing to do. May be dropped and called
    /// again without loss.
    pub(crate) async fn next(&mut self, member: &Arc<dyn Member>, drained: bool) -> (usize, Result<Fed, ReadError>) {
        if let [feed] = &mut *self.all {
            return (0, feed.next(member, drained, true).await);
        }
        let turns = self.turns();
        let hungry = self.all.iter_mut().zip(turns).enumerate();
        let mut hungry: Vec<_> = hungry
            .filter_map(|(at, (feed, join))| join.map(|join| (at, Box::pin(feed.next(member, drained, join)))))
            .collect::<Vec<(usize, Pin<Box<_>>)>>();
        poll_fn(|context| {
            let fed = hungry
                .iter_mut()
                .find_map(|(at, next)| match next.as_mut().poll(context) {
                    Poll::Ready(fed) => Some((*at, fed)),
                    Poll::Pending => None,
                });
            fed.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// Which of the feeds have their turn, and whether they may join a lane then.
    fn turns(&self) -> Vec<Option<bool>> {
        // Of each topic: whether its shared feed is live, if there is one, and whether others wait for it.
        let mut topics: Vec<(&Feed, Option<bool>, bool)> = Vec::new();
        for feed in &self.all {
            let at = topics.iter().position(|(one, ..)| feed.is_beside(one));
            let at = at.unwrap_or_else(|| {
                topics.push((feed, None, false));
                topics.len() - 1
            });
            if !feed.is_apart() {
                topics[at].1 = Some(feed.is_live());
            }
            topics[at].2 |= feed.is_waiting();
        }
        let mut apart = 0;
        let turn = |feed: &Feed| {
            let (_, shared, waited_for) = *topics.iter().find(|(one, ..)| feed.is_beside(one))?;
            let is_turn = if feed.is_apart() {
                // Until the shared one has its socket back it would only run away from who waits for it.
                !(feed.is_waiting() && shared == Some(true))
            } else {
                feed.is_live() || !waited_for
            };
            if !is_turn || !feed.is_hungry() {
                return None;
            }
            apart += usize::from(feed.is_apart());
            let may_join = !feed.is_apart() || shared.is_none();
            (!feed.is_apart() || apart <= limits::WS_CATCHING_UP).then_some(may_join)
        };
        self.all.iter().map(turn).collect()
    }

    /// The feed at this place.
    pub(crate) fn at(&mut self, at: usize) -> &mut Feed {
        &mut self.all[at]
    }

    /// A feed had its turn, and gives back what has no room: the next turn is another feed's.
    pub(crate) fn given(&mut self, at: usize, rest: Option<Due>) {
        if let Some(due) = rest {
            self.all[at].put_back(due);
        }
        self.all[at..].rotate_left(1);
        self.settle();
    }

    /// The feed has come to the head, where another one is, or will be.
    pub(crate) fn arrived(&mut self, at: usize) {
        let (before, rest) = self.all.split_at_mut(at);
        if let Some((feed, behind)) = rest.split_first_mut() {
            let others = before.iter_mut().chain(behind);
            others
                .filter(|other| other.is_beside(feed) && !other.is_apart())
                .for_each(Feed::recall);
        }
        self.settle();
    }

    /// A lane has given the socket back: the task reads on from here.
    pub(crate) fn resume(&mut self, lane: LaneId, reached: Reached) {
        if let Some(feed) = self.all.iter_mut().find(|feed| feed.is_in(lane)) {
            feed.fall_behind(reached);
            self.settle();
        }
    }

    /// Lets the shared feed of each topic take in those that have caught up with it.
    fn settle(&mut self) {
        if self.all.len() < 2 {
            return;
        }
        while let Some((shared, at)) = self.caught_up() {
            let feed = self.all.remove(at);
            self.all[shared - usize::from(at < shared)].take_in(feed);
        }
    }

    fn caught_up(&self) -> Option<(usize, usize)> {
        let all = || self.all.iter().enumerate();
        let shared = all().filter(|(_, feed)| !feed.is_apart());
        let mut pairs = shared.flat_map(|one| {
            all()
                .filter(|(_, other)| other.is_apart())
                .map(move |other| (one, other))
        });
        let (one, other) = pairs.find(|((_, one), (_, other))| one.is_beside(other) && one.may_take_in(other))?;
        Some((one.0, other.0))
    }

    /// Nothing is wanted before the socket has room again.
    pub(crate) fn rest(&mut self) {
        for feed in &mut self.all {
            feed.rest();
        }
    }
}

impl Drop for Feeds {
    fn drop(&mut self) {
        for feed in &mut self.all {
            self.counters.subscriptions.dec_by(feed.wishes().len() as i64);
        }
    }
}
