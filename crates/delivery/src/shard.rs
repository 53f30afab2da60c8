//! The part of all lanes that lives on one core: it writes to their sockets directly.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use sockeye_limits as limits;
use sockeye_log::{Position, ReadError};
use tokio::sync::{Notify, mpsc};

use crate::lane_metrics::LaneMetrics;
use crate::lanes::{Frames, LaneId};
use crate::outlet::Member;

/// The way to a shard. Orders are carried out in the order in which they are given.
#[derive(Clone)]
pub(crate) struct Shard {
    /// Which core it is, counted from 0.
    pub(crate) core: usize,
    /// What is counted of lanes.
    pub(crate) metrics: LaneMetrics,
    orders: mpsc::Sender<Order>,
    gone: Arc<Gone>,
}

/// What a shard is told.
pub(crate) enum Order {
    /// From now on the frames of this lane are for this member too.
    Join(LaneId, Arc<dyn Member>),
    /// What a segment has for the lanes of this core.
    Write(Vec<Arc<Frames>>),
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
    pub(crate) fn new(core: usize, metrics: LaneMetrics) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (orders, queue) = mpsc::channel(limits::SHARD_ORDERS);
        let gone = Arc::new(Gone::default());
        let members = Members { lanes: HashMap::new() };
        // Writing to many sockets is what the task is for: it yields by itself.
        let task = tokio::task::unconstrained(members.run(queue, Arc::clone(&gone)));
        let shard = Self {
            core,
            metrics,
            orders,
            gone,
        };
        (shard, task)
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
                    self.carry_out(&mut orders).await;
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
        for order in orders.drain(..) {
            match order {
                Order::Write(all) => {
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
                Order::End(lanes, error, head) => {
                    for lane in lanes {
                        if let Some(frames) = due.remove(&lane) {
                            self.write(lane, &frames).await;
                        }
                        for member in self.lanes.remove(&lane).into_iter().flatten() {
                            member.end(&error, &head);
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
        for parts in parts_of_one_write(parts) {
            let Some(members) = self.lanes.get_mut(&lane) else {
                return;
            };
            let frames = Frames::joined(parts);
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

    fn keep(&mut self, lane: LaneId, wanted: impl Fn(&Arc<dyn Member>) -> bool) {
        if let Some(members) = self.lanes.get_mut(&lane) {
            members.retain(wanted);
            if members.is_empty() {
                self.lanes.remove(&lane);
            }
        }
    }
}

/// Cuts what is due into writes of at most [`limits::WS_WRITE_CHUNK`] bytes, or of one part where that is larger.
fn parts_of_one_write(parts: &[Arc<Frames>]) -> impl Iterator<Item = &[Arc<Frames>]> {
    let mut rest = parts;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fitting = rest.iter().take_while(|part| {
            bytes += part.bytes.len();
            bytes <= limits::WS_WRITE_CHUNK
        });
        let count = fitting.count().max(1);
        let (one, after) = rest.split_at_checked(count)?;
        rest = after;
        Some(one)
    })
}
