//! One topic that has live readers: read once, shown to all lanes, kept in memory as far as the budget goes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sockeye_limits as limits;
use sockeye_log::{Batch, Incarnation, Position, ReadError, Topic};
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

use crate::budget::{Budget, Memory};
use crate::catch_up::{CatchUp, Means, Ticket};
use crate::lane_metrics::LaneMetrics;
use crate::lanes::{LaneId, Lanes};
use crate::metrics::Metrics;
use crate::outlet::Member;
use crate::segment::{Cut, Segment};
use crate::shard::{Order, Room, Shard};
use crate::source::Source;
use crate::wishes::{Wish, Wishes};

/// A topic and who reads it.
pub(crate) struct LiveTopic {
    name: Topic,
    incarnation: Incarnation,
    state: Mutex<State>,
    /// Its newest segments, and what was read of the past.
    memory: Memory,
    /// Most bytes of one segment.
    segment_bytes: usize,
    /// Who is in the past.
    past: CatchUp,
    /// Told when the last reader has left.
    unused: Notify,
    /// Told when the head has moved.
    moved: Notify,
}

struct State {
    /// Behind the newest segment that was shown to the lanes.
    head: Position,
    lanes: Lanes,
    /// The cores that have, or had, members.
    shards: HashMap<usize, Shard>,
    /// Connections that read the topic, in lanes or by themselves.
    readers: usize,
    /// Set when nothing more can be read.
    ended: Option<ReadError>,
}

/// Where a reader of a topic stands.
pub(crate) enum Place {
    /// In memory: here it goes on.
    Memory(Arc<Segment>),
    /// At the head: it can join its lane.
    Head,
    /// Beyond the head, which has not been shown what is already appended.
    Beyond,
    /// Before the head, and not in memory.
    Past,
    /// Nothing more comes.
    Ended(ReadError),
}

/// One reader of a topic.
pub(crate) struct Reading {
    pub(crate) topic: Arc<LiveTopic>,
}

/// A lane that one connection has to itself, whether it is a member or reads by itself.
pub(crate) struct OwnLane {
    topic: Arc<LiveTopic>,
    lane: LaneId,
}

/// Which lane is joined.
#[derive(Clone, Copy)]
pub(crate) enum Lane<'a> {
    /// That of all who have this wish; whether frames are compressed.
    Shared(&'a Arc<Wish>, bool),
    Own(&'a OwnLane),
}

/// One member of a lane.
pub(crate) struct Membership {
    /// Whether the shard still has it.
    in_shard: bool,
    topic: Arc<LiveTopic>,
    shard: Shard,
    lane: LaneId,
}

// ----------------------------------------------------------------------------------------------

impl LiveTopic {
    /// A topic that is read from `head` on.
    pub(crate) fn new(name: Topic, head: Position, budget: Arc<Budget>) -> Self {
        let incarnation = head.incarnation();
        let state = State {
            head,
            lanes: Lanes::default(),
            shards: HashMap::new(),
            readers: 0,
            ended: None,
        };
        Self {
            name,
            incarnation,
            state: Mutex::new(state),
            segment_bytes: budget.limits().segment_bytes,
            memory: Memory::new(budget),
            past: CatchUp::default(),
            unused: Notify::new(),
            moved: Notify::new(),
        }
    }

    /// Counts one more reader, unless the topic has ended or is another incarnation.
    pub(crate) fn read(self: &Arc<Self>, end: &Position) -> Option<Reading> {
        let mut state = self.lock();
        if state.ended.is_some() || state.head.incarnation() != end.incarnation() {
            return None;
        }
        state.readers += 1;
        Some(Reading {
            topic: Arc::clone(self),
        })
    }

    pub(crate) fn name(&self) -> &Topic {
        &self.name
    }

    /// Whether it is this topic, in this incarnation.
    pub(crate) fn is(&self, name: &Topic, incarnation: Incarnation) -> bool {
        self.incarnation == incarnation && self.name == *name
    }

    /// A lane for a connection with several wishes.
    pub(crate) fn own_lane(self: &Arc<Self>, wishes: &Wishes, deflate: bool, metrics: &LaneMetrics) -> OwnLane {
        let lanes = &mut self.lock().lanes;
        let lane = lanes.own(wishes.once(), deflate, metrics);
        for numbered in wishes.iter() {
            lanes.add(lane, numbered.serial, &numbered.wish);
        }
        OwnLane {
            topic: Arc::clone(self),
            lane,
        }
    }

    /// Where a reader at this position stands.
    pub(crate) fn place(&self, position: &Position) -> Place {
        let state = self.lock();
        if let Some(error) = &state.ended {
            return Place::Ended(error.clone());
        }
        match self.memory.after(position) {
            Some(segment) => Place::Memory(segment),
            None if state.is_head(position) => Place::Head,
            None if position.is_at_or_behind(&state.head) => Place::Beyond,
            None => Place::Past,
        }
    }

    /// Behind the newest event that was shown.
    pub(crate) fn head(&self) -> Position {
        self.lock().head.clone()
    }

    /// Asks for what follows a position in the past.
    pub(crate) fn ask(&self, position: &Position) -> Ticket {
        self.past.ask(position)
    }

    /// Waits until the head moves, from when it is enabled.
    pub(crate) fn moved(&self) -> Notified<'_> {
        self.moved.notified()
    }

    /// Makes a reader that is at the head a member of a lane; nothing comes between what it has read and what the lane
    /// writes. `None` if it is not at the head any more.
    pub(crate) fn join(
        self: &Arc<Self>,
        position: &Position,
        lane: Lane<'_>,
        member: Arc<dyn Member>,
        shard: &Shard,
        room: mpsc::OwnedPermit<Order>,
    ) -> Option<Membership> {
        let mut state = self.lock();
        if state.ended.is_some() || !state.is_head(position) {
            return None;
        }
        let lane = match lane {
            Lane::Shared(wish, deflate) => state.lanes.join(wish, deflate, shard.core, &shard.metrics),
            Lane::Own(OwnLane { lane, .. }) => {
                state.lanes.enter(*lane, shard.core);
                *lane
            }
        };
        state.shards.entry(shard.core).or_insert_with(|| shard.clone());
        // Under the lock: the shard hears of it behind the segments before the head, and before those behind it.
        room.send(Order::Join(lane, member));
        Some(Membership {
            in_shard: true,
            topic: Arc::clone(self),
            shard: shard.clone(),
            lane,
        })
    }

    /// Shows all that is appended to the lanes, and reads for those who are in the past, until nothing more can be read or
    /// nobody has read for a while.
    pub(crate) async fn run(self: Arc<Self>, source: Source, means: Means) {
        tokio::select! {
            biased;
            () = self.follow(source, &means.metrics) => {}
            never = self.past.run(&self.name, &self.memory, self.segment_bytes, &means) => match never {},
        }
    }

    async fn follow(&self, mut source: Source, metrics: &Metrics) {
        let mut shown: u32 = 0;
        loop {
            let from = source.position().clone();
            let batch = tokio::select! {
                biased;
                batch = source.next() => batch,
                () = self.deserted() => return,
            };
            match batch {
                Ok(batch) => self.show_all(from, batch, &mut shown, metrics).await,
                Err(ReadError::Trimmed { oldest }) if !from.is_at_or_behind(&oldest) => {
                    self.skip_to(&oldest).await;
                    source.skip_to(&oldest);
                }
                Err(error) => {
                    self.end(error).await;
                    return;
                }
            }
        }
    }

    async fn show_all(&self, from: Position, batch: Batch, shown: &mut u32, metrics: &Metrics) {
        let segments = Cut::new(&self.name, from, batch, self.segment_bytes, |bytes| metrics.hold(bytes));
        for segment in segments {
            metrics.segment(&segment);
            self.show(Arc::new(segment), metrics).await;
            *shown += 1;
            // A log that always has more must not keep the core to itself.
            if *shown == limits::BATCHES_PER_TURN {
                *shown = 0;
                tokio::task::yield_now().await;
            }
        }
    }

    async fn show(&self, segment: Arc<Segment>, metrics: &Metrics) {
        loop {
            // Room is made before the lock is taken, which nobody holds while waiting.
            let mut rooms = self.rooms().await;
            let mut state = self.lock();
            if state.lanes.cores().any(|core| !rooms.contains_key(&core)) {
                continue;
            }
            for (core, frames) in state.lanes.encode(&segment, |bytes| metrics.hold(bytes)) {
                if let Some(Some(room)) = rooms.remove(&core) {
                    room.write(frames);
                }
            }
            state.head = segment.next.clone();
            self.memory.show(segment);
            drop(state);
            self.moved.notify_waiters();
            return;
        }
    }

    /// Room in the shards of all cores that have members. Topics wait for shards in one order, so that none waits for another
    /// that waits for it.
    async fn rooms(&self) -> HashMap<usize, Option<Room>> {
        let mut rooms = HashMap::new();
        for shard in self.shards_in_use() {
            rooms.insert(shard.core, shard.room().await);
        }
        rooms
    }

    /// Retention has passed the head, while the log could not be read: members of lanes miss something and are told. Whoever
    /// came later and is not at the head yet may be beyond what was removed, and goes on.
    async fn skip_to(&self, oldest: &Position) {
        loop {
            let mut orders = HashMap::new();
            for shard in self.shards_in_use() {
                orders.insert(shard.core, shard.reserve().await);
            }
            let mut state = self.lock();
            let ended = state.lanes.by_core();
            if ended.keys().any(|core| !orders.contains_key(core)) {
                continue;
            }
            // Under the lock: who joins at the new head is not told.
            for (core, lanes) in ended {
                if let Some(Some(order)) = orders.remove(&core) {
                    let error = ReadError::Trimmed { oldest: oldest.clone() };
                    order.send(Order::End(lanes, error, state.head.clone()));
                }
            }
            for (partition, next) in oldest.offsets() {
                state.head.advance(*partition, *next);
            }
            self.memory.forget();
            drop(state);
            self.moved.notify_waiters();
            return;
        }
    }

    async fn end(&self, error: ReadError) {
        let (head, ended) = {
            let mut state = self.lock();
            state.ended = Some(error.clone());
            (state.head.clone(), state.lanes.by_core())
        };
        self.moved.notify_waiters();
        self.past.end(&error);
        for (core, lanes) in ended {
            let shard = self.lock().shards.get(&core).cloned();
            if let Some(shard) = shard
                && let Some(room) = shard.reserve().await
            {
                room.send(Order::End(lanes, error.clone(), head.clone()));
            }
        }
    }

    fn shards_in_use(&self) -> Vec<Shard> {
        let state = self.lock();
        let shards = state.lanes.cores().filter_map(|core| state.shards.get(&core));
        let mut shards: Vec<_> = shards.cloned().collect();
        shards.sort_unstable_by_key(|shard| shard.core);
        shards
    }

    /// Waits until nobody has read for [`limits::TOPIC_LINGER`], and lets nobody begin any more.
    async fn deserted(&self) {
        loop {
            let unused = self.unused.notified();
            if self.lock().readers > 0 {
                unused.await;
                continue;
            }
            // A reader that comes and goes meanwhile begins the time anew.
            if timeout(limits::TOPIC_LINGER, unused).await.is_err() {
                let mut state = self.lock();
                if state.readers == 0 {
                    state.ended = Some(ReadError::NoTopic(self.name.clone()));
                    return;
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_head(&self, position: &Position) -> bool {
        position.is_at_or_behind(&self.head) && self.head.is_at_or_behind(position)
    }
}

impl Membership {
    pub(crate) fn lane(&self) -> LaneId {
        self.lane
    }

    /// Asks for the socket back, at the head of the topic; the shard may have given it back before.
    pub(crate) fn recall(&self, member: Arc<dyn Member>, room: mpsc::OwnedPermit<Order>) {
        let state = self.topic.lock();
        // Under the lock: the shard hears of it behind the segments before the head, and before those behind it.
        room.send(Order::Recall(self.lane, member, state.head.clone()));
    }

    /// The shard has dropped the member.
    pub(crate) fn given_back(mut self) {
        self.in_shard = false;
    }
}

impl OwnLane {
    /// One more wish.
    pub(crate) fn add(&self, serial: u32, wish: &Arc<Wish>) {
        self.topic.lock().lanes.add(self.lane, serial, wish);
    }

    /// One wish less.
    pub(crate) fn take(&self, serial: u32) {
        self.topic.lock().lanes.take(self.lane, serial);
    }
}

impl Drop for OwnLane {
    fn drop(&mut self) {
        self.topic.lock().lanes.close(self.lane);
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let mut state = self.topic.lock();
        state.readers -= 1;
        if state.readers == 0 {
            self.topic.unused.notify_one();
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.topic.lock().lanes.leave(self.lane, self.shard.core);
        if self.in_shard {
            self.shard.left(self.lane);
        }
    }
}
