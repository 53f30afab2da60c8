//! The part of all lanes that lives on one core: it writes to their sockets directly.

use std::collections::{BTreeMap, HashMap};
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sockeye_limits as limits;
use sockeye_log::{Position, ReadError};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, sleep};

use crate::budget::MemoryLimits;
use crate::frames::Frames;
use crate::lane_metrics::LaneMetrics;
use crate::lanes::LaneId;
use crate::outlet::Member;

/// The way to a shard. Orders are carried out in the order in which they are given.
#[derive(Clone)]
pub(crate) struct Shard {
    /// Which core it is, counted from 0.
    pub(crate) core: usize,
    /// What is counted of lanes.
    pub(crate) metrics: LaneMetrics,
    orders: mpsc::Sender<Order>,
    /// Bytes of frames that may still wait there.
    bytes: Arc<Semaphore>,
    /// Of these, what one segment's frames are given before it is known how many there are.
    share: u32,
    gone: Arc<Gone>,
}

/// Room for one segment's frames.
pub(crate) struct Room {
    order: mpsc::OwnedPermit<Order>,
    bytes: OwnedSemaphorePermit,
}

/// What a shard is told.
pub(crate) enum Order {
    /// From now on the frames of this lane are for this member too.
    Join(LaneId, Arc<dyn Member>),
    /// From now on they are not, whatever the reason: the member reads on by itself from here.
    Recall(LaneId, Arc<dyn Member>, Position),
    /// What a segment has for the lanes of this core, and the room that it takes until it is written.
    Write(Vec<Arc<Frames>>, OwnedSemaphorePermit),
    /// The topic of these lanes cannot be read on from here.
    End(Vec<LaneId>, ReadError, Position),
}

/// Lanes that members have left. Told beside the orders, because who leaves cannot wait.
#[derive(Default)]
struct Gone {
    lanes: Mutex<Vec<LaneId>>,
    news: Notify,
}

/// What the shard's task owns.
struct Members {
    lanes: HashMap<LaneId, Vec<Arc<dyn Member>>>,
}

// ----------------------------------------------------------------------------------------------

impl Shard {
    /// A shard, and the task that has to run on its core. The task ends when the last way to it is dropped.
    pub(crate) fn new(
        core: usize,
        limits: MemoryLimits,
        metrics: LaneMetrics,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (orders, queue) = mpsc::channel(limits.orders);
        let bytes = u32::try_from(limits.order_bytes).unwrap_or(u32::MAX);
        let share = bytes / limits::SHARD_SHARES;
        let gone = Arc::new(Gone::default());
        let members = Members { lanes: HashMap::new() };
        // Writing to many sockets is what the task is for: it yields by itself.
        let task = tokio::task::unconstrained(members.run(queue, Arc::clone(&gone)));
        let shard = Self {
            core,
            metrics,
            orders,
            bytes: Arc::new(Semaphore::new(bytes as usize)),
            share,
            gone,
        };
        (shard, task)
    }

    /// Waits for room for a segment's frames: those who wait have it by turns, whatever they bring.
    pub(crate) async fn room(&self) -> Option<Room> {
        let bytes = Arc::clone(&self.bytes).acquire_many_owned(self.share).await.ok()?;
        let order = self.reserve().await?;
        Some(Room { order, bytes })
    }

    /// Waits for room for one order.
    pub(crate) async fn reserve(&self) -> Option<mpsc::OwnedPermit<Order>> {
        self.orders.clone().reserve_owned().await.ok()
    }

    /// Tells that a member of this lane has left.
    pub(crate) fn left(&self, lane: LaneId) {
        let mut lanes = self.gone.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if !lanes.contains(&lane) {
            lanes.push(lane);
            self.gone.news.notify_one();
        }
    }
}

impl Room {
    /// Gives the frames of a segment to the shard. More than was expected go, too: there are never more such orders than
    /// [`limits::SHARD_SHARES`].
    pub(crate) fn write(mut self, frames: Vec<Arc<Frames>>) {
        let bytes: usize = frames.iter().map(|frames| frames.weight).sum();
        let room = self.bytes.num_permits();
        let all = Arc::clone(self.bytes.semaphore());
        if bytes <= room {
            drop(self.bytes.split(room - bytes));
        } else if let Ok(more) = u32::try_from(bytes - room)
            && let Ok(more) = all.try_acquire_many_owned(more)
        {
            self.bytes.merge(more);
        }
        self.order.send(Order::Write(frames, self.bytes));
    }
}

impl Members {
    async fn run(mut self, mut queue: mpsc::Receiver<Order>, gone: Arc<Gone>) {
        let mut orders = Vec::new();
        loop {
            tokio::select! {
                biased;
                count = queue.recv_many(&mut orders, limits::SHARD_ORDERS) => {
                    if count == 0 {
                        return;
                    }
                    let begun = Instant::now();
                    self.carry_out(&mut orders).await;
                    if !queue.is_empty() {
                        gather(begun.elapsed()).await;
                    }
                }
                () = gone.news.notified() => {
                    let lanes = std::mem::take(&mut *gone.lanes.lock().unwrap_or_else(PoisonError::into_inner));
                    for lane in lanes {
                        self.keep(lane, |member| !member.has_left());
                    }
                }
            }
        }
    }

    /// Carries out what has come together: frames that follow each other on a lane go out in one write.
    async fn carry_out(&mut self, orders: &mut Vec<Order>) {
        // In the order of the lanes' identities, so that a run can be repeated.
        let mut due: BTreeMap<LaneId, Vec<Arc<Frames>>> = BTreeMap::new();
        let mut rooms = Vec::new();
        for order in orders.drain(..) {
            match order {
                Order::Write(all, room) => {
                    rooms.push(room);
                    for frames in all {
                        due.entry(frames.lane).or_default().push(frames);
                    }
                }
                Order::Join(lane, member) => {
                    // What came before it was not for it.
                    if let Some(frames) = due.remove(&lane) {
                        self.write(lane, &frames).await;
                    }
                    self.lanes.entry(lane).or_default().push(member);
                }
                Order::Recall(lane, member, head) => {
                    if let Some(frames) = due.remove(&lane) {
                        self.write(lane, &frames).await;
                    }
                    self.recall(lane, &member, &head);
                }
                Order::End(lanes, error, head) => {
                    for lane in lanes {
                        if let Some(frames) = due.remove(&lane) {
                            self.write(lane, &frames).await;
                        }
                        for member in self.lanes.remove(&lane).into_iter().flatten() {
                            member.end(lane, &error, &head);
                        }
                    }
                }
            }
        }
        for (lane, frames) in due {
            self.write(lane, &frames).await;
        }
    }

    /// Writes to all members of a lane; after each few, others have their turn.
    async fn write(&mut self, lane: LaneId, parts: &[Arc<Frames>]) {
        for frames in Frames::writes(parts) {
            let Some(members) = self.lanes.get_mut(&lane) else {
                return;
            };
            let mut at = 0;
            let mut turn = 0;
            let mut is_first = true;
            while at < members.len() {
                if members[at].write(&frames) {
                    at += 1;
                } else {
                    members.swap_remove(at);
                }
                if std::mem::take(&mut is_first) {
                    frames.counters.first_written(&frames);
                }
                turn += 1;
                if turn == limits::WRITES_PER_TURN {
                    turn = 0;
                    tokio::task::yield_now().await;
                }
            }
            frames.counters.last_written(&frames);
            if members.is_empty() {
                self.lanes.remove(&lane);
            }
        }
    }

    /// Gives a socket back to its task, if that has not happened already.
    fn recall(&mut self, lane: LaneId, member: &Arc<dyn Member>, head: &Position) {
        let mut found = None;
        self.keep(lane, |other| {
            let is_it = ptr::addr_eq(Arc::as_ptr(other), Arc::as_ptr(member));
            if is_it {
                found = Some(Arc::clone(other));
            }
            !is_it
        });
        if let Some(member) = found {
            member.recall(lane, head);
        }
    }

    fn keep(&mut self, lane: LaneId, mut wanted: impl FnMut(&Arc<dyn Member>) -> bool) {
        if let Some(members) = self.lanes.get_mut(&lane) {
            members.retain(&mut wanted);
            if members.is_empty() {
                self.lanes.remove(&lane);
            }
        }
    }
}

/// Waits behind a long round of writes during which more has come, for as long as it took: what is published meanwhile goes
/// out in one round, and not in several that cost a system call for every socket each. (Eight publishers that wait
/// for 1,000 sockets: half the CPU and a third of the median latency; 32: the same.)
async fn gather(round: Duration) {
    if round >= limits::SHARD_LONG_ROUND {
        sleep(round.min(limits::SHARD_GATHER)).await;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::FutureExt;
    use sockeye_log::Incarnation;
    use tokio::task::unconstrained;

    use super::*;
    use crate::Metrics;
    use crate::metrics::Held;

    fn frames(bytes: usize) -> Vec<Arc<Frames>> {
        vec![Arc::new(Frames {
            lane: LaneId::NONE,
            from: Position::new(Incarnation(1), []).into(),
            weight: bytes,
            bytes: Bytes::from(vec![0; bytes]),
            apart: Vec::new(),
            ends: Vec::new(),
            goes_on: false,
            newest: None,
            counters: Metrics::default().lanes().of(None, false),
            _held: Held::default(),
        })]
    }

    /// Bytes bound what waits: many small segments, or few large ones, and never more than so many that are too large.
    #[tokio::test]
    async fn what_waits_is_bounded_in_bytes() {
        let limits = MemoryLimits {
            order_bytes: limits::SHARD_SHARES as usize * 100,
            ..MemoryLimits::default()
        };
        for (bytes, most) in [(10, 151), (100, 16), (200, 8), (1_000_000, 16)] {
            let (shard, task) = Shard::new(0, limits, Metrics::default().lanes());
            let mut orders = 0;
            while let Some(Some(room)) = unconstrained(shard.room()).now_or_never() {
                room.write(frames(bytes));
                orders += 1;
            }
            assert_eq!(orders, most, "of {bytes} bytes");
            let task = tokio::spawn(task);
            assert!(shard.room().await.is_some(), "there is room when they are written");
            task.abort();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_long_round_is_worth_a_wait_and_never_a_long_one() {
        for (round, expected) in [(1, 0), (3, 3), (400, 5)] {
            let begun = Instant::now();
            gather(Duration::from_millis(round)).await;
            assert_eq!(begun.elapsed(), Duration::from_millis(expected), "{round} ms");
        }
    }
}
