//! Shows what is appended to a topic to its groups on one core: one task for all of them, so that none is woken for an event.
//!
//! A group is at one place at a time: here, at the head, or its own task reads for it. It leaves when it has no room, and
//! comes back when it has read up to where the others are.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sockeye_limits as limits;
use sockeye_log::Position;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::groups::owner::Owner;
use crate::segment::Segment;
use crate::topic::{LiveTopic, Place};

/// The groups of one topic that live on one core.
pub(crate) struct Pump {
    topic: Arc<LiveTopic>,
    core: usize,
    state: Mutex<State>,
    /// Told when somebody follows, or nobody needs it any more.
    news: Notify,
    /// Told when everything there is was shown.
    caught_up: Notify,
}

struct State {
    /// In the order in which they came.
    followers: BTreeMap<u64, Arc<Owner>>,
    /// Where all of them are.
    position: Option<Position>,
    /// Groups that may follow, whether they do or not.
    users: usize,
    next: u64,
}

/// The pumps of this process.
#[derive(Default)]
pub(crate) struct Pumps(Mutex<Vec<Arc<Pump>>>);

/// One group's right to follow.
pub(crate) struct Line {
    pump: Arc<Pump>,
    number: u64,
}

// ----------------------------------------------------------------------------------------------

impl Pumps {
    /// For one more group of a topic on this core. If it is the first, the pump has to be run.
    pub(crate) fn line(&self, topic: &Arc<LiveTopic>, core: usize) -> (Line, Option<Arc<Pump>>) {
        let mut pumps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One that nobody uses has ended, or is about to.
        let found = pumps
            .iter()
            .find_map(|pump| (pump.core == core && Arc::ptr_eq(&pump.topic, topic)).then(|| pump.line())?);
        if let Some(line) = found {
            return (line, None);
        }
        pumps.retain(|pump| pump.lock().users > 0);
        let pump = Arc::new(Pump {
            topic: Arc::clone(topic),
            core,
            state: Mutex::new(State {
                followers: BTreeMap::new(),
                position: None,
                users: 1,
                next: 1,
            }),
            news: Notify::new(),
            caught_up: Notify::new(),
        });
        pumps.push(Arc::clone(&pump));
        let line = Line {
            pump: Arc::clone(&pump),
            number: 0,
        };
        (line, Some(pump))
    }

    /// Forgets pumps that nobody uses.
    pub(crate) fn tidy(&self) {
        let mut pumps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pumps.retain(|pump| pump.lock().users > 0);
    }
}

impl Pump {
    /// For one more group, unless the last has gone.
    fn line(self: &Arc<Self>) -> Option<Line> {
        let mut state = self.lock();
        if state.users == 0 {
            return None;
        }
        state.users += 1;
        state.next += 1;
        Some(Line {
            pump: Arc::clone(self),
            number: state.next - 1,
        })
    }

    /// Shows what is appended, until no group is left.
    pub(crate) async fn run(self: Arc<Self>) {
        while self.lock().users > 0 {
            self.turn().await;
        }
    }

    async fn turn(&self) {
        // Enabled before the place is asked for, so that no move is missed.
        let mut moved = pin!(self.topic.moved());
        moved.as_mut().enable();
        let Some(position) = self.lock().position.clone() else {
            return self.news.notified().await;
        };
        let (segments, next, place) = self.gather(position);
        if !segments.is_empty() {
            return self.show(&segments, next).await;
        }
        match place {
            Place::Head | Place::Beyond => {
                self.caught_up.notify_waiters();
                tokio::select! {
                    () = moved => {}
                    () = self.news.notified() => {}
                }
            }
            // They read on by themselves.
            Place::Past | Place::Ended(_) | Place::Memory(_) => {
                let mut state = self.lock();
                state.position = None;
                let released = std::mem::take(&mut state.followers);
                drop(state);
                for follower in released.values() {
                    follower.release();
                }
            }
        }
    }

    /// What follows a position in memory: some of it, where that ends, and what is there.
    fn gather(&self, mut position: Position) -> (Vec<Arc<Segment>>, Position, Place) {
        let mut segments = Vec::new();
        loop {
            let place = self.topic.place(&position);
            let Place::Memory(segment) = place else {
                return (segments, position, place);
            };
            for (partition, next) in segment.next.offsets() {
                position.advance(*partition, *next);
            }
            segments.push(segment);
            if segments.len() as u32 == limits::BATCHES_PER_TURN {
                return (segments, position, Place::Beyond);
            }
        }
    }

    /// Shows segments to all who follow; after each few, others have their turn. Who comes meanwhile is behind them.
    async fn show(&self, segments: &[Arc<Segment>], next: Position) {
        let followers: Vec<_> = {
            let mut state = self.lock();
            state.position = Some(next);
            let followers = state.followers.iter();
            followers.map(|(number, owner)| (*number, Arc::clone(owner))).collect()
        };
        for some in followers.chunks(limits::WRITES_PER_TURN) {
            for (number, owner) in some {
                if !owner.show(segments) {
                    self.lock().drop_follower(*number);
                }
            }
            tokio::task::yield_now().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn drop_follower(&mut self, number: u64) {
        self.followers.remove(&number);
        if self.followers.is_empty() {
            self.position = None;
        }
    }
}

impl Line {
    /// Lets a group that is at the head of its topic follow, if that is where the others are.
    pub(crate) fn follow(&self, owner: &Arc<Owner>, position: &Position) -> bool {
        let mut state = self.pump.lock();
        if state.position.as_ref().is_some_and(|others| others != position) {
            return false;
        }
        owner.set_live();
        state.position = Some(position.clone());
        state.followers.insert(self.number, Arc::clone(owner));
        self.pump.news.notify_one();
        true
    }

    /// Waits until the others have been shown everything, from when it is enabled.
    pub(crate) fn caught_up(&self) -> Notified<'_> {
        self.pump.caught_up.notified()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let mut state = self.pump.lock();
        state.drop_follower(self.number);
        state.users -= 1;
        self.pump.news.notify_one();
    }
}
