//! Memory for events, shared by all topics: their newest, and what was read again of their past.
//!
//! When there is not enough for all, who has most gives: a topic that floods, or has flooded, cannot keep a quiet one from
//! having its share (DESIGN.md, delivery contract 11).

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::metrics::gauge::Gauge;
use sockeye_limits as limits;
use sockeye_log::Position;

use crate::past::Past;
use crate::segment::Segment;
use crate::tail::Tail;

/// How much events in memory may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimits {
    /// Bytes of all topics together: their newest events, and what was read of their past.
    pub bytes: usize,
    /// Bytes of one topic's newest events, and as many of its past; one segment may be larger.
    pub bytes_per_topic: usize,
    /// Segments of one topic's newest events, and as many of its past.
    pub segments: usize,
    /// Bytes of one segment; one record may be larger.
    pub segment_bytes: usize,
    /// Orders that wait for the shard of a core.
    pub orders: usize,
    /// Bytes of frames in these orders.
    pub order_bytes: usize,
    /// Bytes of events that groups hold until their receipt, all groups together; each may hold one event more.
    pub group_bytes: usize,
}

/// The budget, and all that is kept within it.
#[derive(Debug)]
pub(crate) struct Budget {
    limits: MemoryLimits,
    kept: Mutex<Kept>,
    /// Bytes, as they are shown, by kind.
    shown: [Gauge; Kind::ALL.len()],
}

#[derive(Debug, Default)]
struct Kept {
    bytes: usize,
    stores: HashMap<StoreId, Box<dyn Store>>,
    /// All that hold something, the largest last.
    by_size: BTreeSet<(usize, StoreId)>,
    next_topic: u64,
}

/// Events of one topic in memory. Dropped, it gives all of it back.
#[derive(Debug)]
pub(crate) struct Memory {
    budget: Arc<Budget>,
    topic: u64,
}

/// Segments of one topic.
pub(crate) trait Store: std::fmt::Debug + Send {
    fn push(&mut self, segment: Arc<Segment>);

    /// Gives the one up that is least worth keeping.
    fn pop(&mut self) -> Option<Arc<Segment>>;

    /// The segment in which a reader at this position reads on.
    fn after(&self, position: &Position) -> Option<&Arc<Segment>>;

    fn bytes(&self) -> usize;

    fn len(&self) -> usize;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct StoreId {
    topic: u64,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Kind {
    Tail,
    Past,
}

// ----------------------------------------------------------------------------------------------

impl Kind {
    const ALL: [Self; 2] = [Self::Tail, Self::Past];
}

impl Budget {
    /// A budget; `tails` and `past` show what is used.
    pub(crate) fn new(limits: MemoryLimits, tails: Gauge, past: Gauge) -> Self {
        Self {
            limits,
            kept: Mutex::default(),
            shown: [tails, past],
        }
    }

    pub(crate) fn limits(&self) -> MemoryLimits {
        self.limits
    }

    /// Adds a segment and gives up others until the limits are kept. These are dropped by the caller, who holds no lock.
    fn push(&self, id: StoreId, segment: Arc<Segment>) -> Vec<Arc<Segment>> {
        let mut dropped = Vec::new();
        let mut kept = self.lock();
        self.change(&mut kept, id, |store| store.push(segment));
        while kept.stores.get(&id).is_some_and(|store| {
            store.len() > self.limits.segments || (store.len() > 1 && store.bytes() > self.limits.bytes_per_topic)
        }) {
            dropped.extend(self.change(&mut kept, id, |store| store.pop()));
        }
        while kept.bytes > self.limits.bytes {
            let Some((_, largest)) = kept.by_size.last().copied() else {
                break;
            };
            dropped.extend(self.change(&mut kept, largest, |store| store.pop()));
        }
        dropped
    }

    /// Changes a store, and what is known of its size.
    fn change<T: Default>(&self, kept: &mut Kept, id: StoreId, change: impl FnOnce(&mut dyn Store) -> T) -> T {
        let Some(store) = kept.stores.get_mut(&id) else {
            return T::default();
        };
        let before = store.bytes();
        let changed = change(&mut **store);
        let after = store.bytes();
        kept.by_size.remove(&(before, id));
        if after > 0 {
            kept.by_size.insert((after, id));
        }
        kept.bytes = kept.bytes - before + after;
        self.shown[id.kind as usize].inc_by(after as i64 - before as i64);
        changed
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    /// For one more topic.
    pub(crate) fn new(budget: Arc<Budget>) -> Self {
        let topic = {
            let mut kept = budget.lock();
            let topic = kept.next_topic;
            kept.next_topic += 1;
            let id = |kind| StoreId { topic, kind };
            kept.stores.insert(id(Kind::Tail), Box::<Tail>::default());
            kept.stores.insert(id(Kind::Past), Box::<Past>::default());
            topic
        };
        Self { budget, topic }
    }

    /// Keeps the segment that follows the newest.
    pub(crate) fn show(&self, segment: Arc<Segment>) {
        drop(self.budget.push(self.store(Kind::Tail), segment));
    }

    /// Gives up the newest, for what comes next does not follow it.
    pub(crate) fn forget(&self) {
        let mut dropped = Vec::new();
        let (mut kept, id) = (self.budget.lock(), self.store(Kind::Tail));
        while let Some(segment) = self.budget.change(&mut kept, id, |store| store.pop()) {
            dropped.push(segment);
        }
        drop(kept);
    }

    /// Keeps a segment that was read of the past.
    pub(crate) fn keep(&self, segment: Arc<Segment>) {
        drop(self.budget.push(self.store(Kind::Past), segment));
    }

    /// The segment in which a reader at this position reads on, if it is there.
    pub(crate) fn after(&self, position: &Position) -> Option<Arc<Segment>> {
        let kept = self.budget.lock();
        let of = |kind| kept.stores.get(&self.store(kind))?.after(position).cloned();
        Kind::ALL.into_iter().find_map(of)
    }

    fn store(&self, kind: Kind) -> StoreId {
        StoreId {
            topic: self.topic,
            kind,
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let mut stores = Vec::new();
        let mut kept = self.budget.lock();
        for kind in Kind::ALL {
            let id = self.store(kind);
            if let Some(store) = kept.stores.remove(&id) {
                kept.bytes -= store.bytes();
                kept.by_size.remove(&(store.bytes(), id));
                self.budget.shown[kind as usize].dec_by(store.bytes() as i64);
                stores.push(store);
            }
        }
        drop(kept);
    }
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self {
            bytes: limits::TAIL_BYTES,
            bytes_per_topic: limits::TAIL_BYTES_PER_TOPIC,
            segments: limits::TAIL_SEGMENTS,
            segment_bytes: limits::SEGMENT_BYTES,
            orders: limits::SHARD_ORDERS,
            order_bytes: limits::SHARD_ORDER_BYTES,
            group_bytes: limits::GROUPS_BYTES,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::tests::{position, segment};

    const LIMITS: MemoryLimits = MemoryLimits {
        bytes: 64,
        bytes_per_topic: 16,
        segments: 10,
        segment_bytes: 4,
        orders: 1,
        order_bytes: 1,
        group_bytes: 1,
    };

    fn budget() -> Arc<Budget> {
        Arc::new(Budget::new(LIMITS, Gauge::default(), Gauge::default()))
    }

    fn used(budget: &Budget) -> (usize, i64, i64) {
        let [tails, past] = &budget.shown;
        (budget.lock().bytes, tails.get(), past.get())
    }

    fn readable(memory: &Memory) -> usize {
        (0..100).filter(|at| memory.after(&position(*at)).is_some()).count()
    }

    #[test]
    fn one_topic_keeps_its_limits() {
        let budget = budget();
        let memory = Memory::new(budget.clone());
        for number in 0..20 {
            memory.show(segment(number, number + 1, 1));
        }
        assert_eq!(used(&budget), (10, 10, 0));
        for number in 0..5 {
            memory.keep(segment(number, number + 1, 6));
        }
        assert_eq!(used(&budget), (22, 10, 12));
        memory.show(segment(20, 21, 30));
        assert_eq!(used(&budget), (42, 30, 12), "one segment may be larger");
        drop(memory);
        assert_eq!(used(&budget), (0, 0, 0));
    }

    /// Four topics that have filled all of it, and are not read any more, leave a fifth its share, and the past, too.
    #[test]
    fn who_has_most_gives() {
        let budget = budget();
        let full: Vec<_> = (0..4).map(|_| Memory::new(budget.clone())).collect();
        for memory in &full {
            (0..8).for_each(|number| memory.show(segment(number, number + 1, 2)));
        }
        assert_eq!(used(&budget).0, LIMITS.bytes);
        let late = Memory::new(budget.clone());
        for number in 0..100 {
            late.show(segment(number, number + 1, 2));
            assert!(used(&budget).0 <= LIMITS.bytes);
        }
        assert!(readable(&late) >= 6, "{}", readable(&late));
        assert!(full.iter().all(|memory| readable(memory) >= 5));
        for number in 0..100 {
            full[0].keep(segment(number, number + 1, 2));
            assert!(used(&budget).0 <= LIMITS.bytes);
        }
        assert!(used(&budget).2 >= 10, "{:?}", used(&budget));
        assert!(readable(&late) >= 5, "{}", readable(&late));
    }

    /// What fits nobody goes at once, and drives nobody out.
    #[test]
    fn a_segment_beyond_the_budget_is_not_kept() {
        let budget = budget();
        let [one, two] = [Memory::new(budget.clone()), Memory::new(budget.clone())];
        one.show(segment(0, 1, 10));
        two.keep(segment(0, 1, 100));
        assert_eq!((readable(&one), readable(&two)), (1, 0));
    }
}
