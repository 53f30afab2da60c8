//! The lanes of a topic: filtered once, encoded once.
//!
//! A lane is looked for by one equality of its selection (a device, a channel, a type), so that an event costs what it
//! matches, not what there is.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use sockeye_log::Position;
use sockeye_ws::deflate::Deflater;

use crate::frames::{FrameEnd, Frames};
use crate::index::Index;
use crate::lane_metrics::{LaneCounters, LaneMetrics};
use crate::metrics::Held;
use crate::seen::Seen;
use crate::segment::{Entry, Segment};
use crate::session::text_frame;
use crate::subscription::Selection;
use crate::wishes::Wish;

/// Identity of a lane, never used twice in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LaneId(u64);

/// What makes frames byte-identical.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LaneKey {
    pub(crate) selection: Selection,
    /// Name of the encoder.
    pub(crate) form: Box<str>,
    /// Whether frames are compressed (permessage-deflate).
    pub(crate) deflate: bool,
}

/// A wish of a lane.
struct Want {
    lane: LaneId,
    /// Its number in a lane that one connection has to itself.
    serial: u32,
    wish: Arc<Wish>,
}

/// All lanes of a topic.
#[derive(Default)]
pub(crate) struct Lanes {
    /// Those of connections with one wish, which they share with others that have the same.
    ids: HashMap<LaneKey, LaneId>,
    by_id: HashMap<LaneId, Lane>,
    /// What they want.
    index: Index<Want>,
    /// Members of all lanes, by core.
    cores: HashMap<usize, usize>,
}

struct Lane {
    kind: Kind,
    /// Whether frames are compressed (permessage-deflate).
    deflate: bool,
    /// Members on each core.
    members: Vec<(usize, usize)>,
    counters: Arc<LaneCounters>,
}

enum Kind {
    /// All that have the same wish.
    Shared(LaneKey, Arc<Wish>),
    /// One connection, with several wishes, by their serials. It is there while the connection reads by itself, too.
    Own {
        /// An event goes to the first that wants it.
        once: bool,
        /// In the order of their serials.
        wishes: Vec<(u32, Arc<Wish>)>,
    },
}

/// Frames of one event, by what makes them.
type Made<'a> = Vec<MadeFrame<'a>>;

struct MadeFrame<'a> {
    /// Name of the encoder.
    form: &'a str,
    deflate: bool,
    /// `None`: the event is not shown.
    frame: Option<Bytes>,
    /// Whether a lane holds it as it is.
    is_held: bool,
}

/// The frames of one lane while they are made.
#[derive(Default)]
struct Growing {
    bytes: BytesMut,
    apart: Vec<Bytes>,
    weight: usize,
    ends: Vec<FrameEnd>,
}

// ----------------------------------------------------------------------------------------------

#[cfg(test)]
impl LaneId {
    /// Of no lane.
    pub(crate) const NONE: Self = Self(u64::MAX);
}

impl Lanes {
    /// Counts one more member of the lane of this wish on this core.
    pub(crate) fn join(&mut self, wish: &Arc<Wish>, deflate: bool, core: usize, metrics: &LaneMetrics) -> LaneId {
        let key = LaneKey {
            selection: wish.selection.clone(),
            form: wish.encoder.name().into(),
            deflate,
        };
        let id = self.ids.get(&key).copied().unwrap_or_else(|| {
            let counters = metrics.of(Some(&wish.selection), deflate);
            let id = self.open(Kind::Shared(key.clone(), Arc::clone(wish)), deflate, counters);
            self.ids.insert(key, id);
            self.insert(id, 0, wish);
            id
        });
        self.enter(id, core);
        id
    }

    /// A lane for one connection with several wishes.
    pub(crate) fn own(&mut self, once: bool, deflate: bool, metrics: &LaneMetrics) -> LaneId {
        let wishes = Vec::new();
        self.open(Kind::Own { once, wishes }, deflate, metrics.of(None, deflate))
    }

    /// One more wish of a connection that has the lane to itself.
    pub(crate) fn add(&mut self, id: LaneId, serial: u32, wish: &Arc<Wish>) {
        if let Some(Kind::Own { wishes, .. }) = self.by_id.get_mut(&id).map(|lane| &mut lane.kind) {
            wishes.push((serial, Arc::clone(wish)));
            self.insert(id, serial, wish);
        }
    }

    /// One wish less.
    pub(crate) fn take(&mut self, id: LaneId, serial: u32) {
        if let Some(Kind::Own { wishes, .. }) = self.by_id.get_mut(&id).map(|lane| &mut lane.kind)
            && let Ok(at) = wishes.binary_search_by_key(&serial, |(serial, _)| *serial)
        {
            let (_, wish) = wishes.remove(at);
            self.index
                .remove(&wish.selection, |want| (want.lane, want.serial) == (id, serial));
        }
    }

    /// A lane that one connection had to itself goes. It is no member of it any more.
    pub(crate) fn close(&mut self, id: LaneId) {
        let Some(lane) = self.by_id.remove(&id) else { return };
        lane.counters.lanes.dec();
        match lane.kind {
            Kind::Shared(key, wish) => {
                self.ids.remove(&key);
                self.index.remove(&wish.selection, |want| want.lane == id);
            }
            Kind::Own { wishes, .. } => {
                for (serial, wish) in wishes {
                    self.index
                        .remove(&wish.selection, |want| (want.lane, want.serial) == (id, serial));
                }
            }
        }
    }

    fn open(&mut self, kind: Kind, deflate: bool, counters: Arc<LaneCounters>) -> LaneId {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = LaneId(NEXT.fetch_add(1, Ordering::Relaxed));
        counters.lanes.inc();
        let lane = Lane {
            kind,
            deflate,
            members: Vec::new(),
            counters,
        };
        self.by_id.insert(id, lane);
        id
    }

    fn insert(&mut self, lane: LaneId, serial: u32, wish: &Arc<Wish>) {
        let want = Want {
            lane,
            serial,
            wish: Arc::clone(wish),
        };
        self.index.insert(&wish.selection, want);
    }

    /// Counts one more member on this core.
    pub(crate) fn enter(&mut self, id: LaneId, core: usize) {
        let Some(lane) = self.by_id.get_mut(&id) else { return };
        lane.counters.readers.inc();
        *self.cores.entry(core).or_default() += 1;
        match lane.members.iter_mut().find(|(on, _)| *on == core) {
            Some((_, members)) => *members += 1,
            None => lane.members.push((core, 1)),
        }
    }

    /// Counts one member less; a lane without members goes, but for one that a connection has to itself.
    pub(crate) fn leave(&mut self, id: LaneId, core: usize) {
        let Some(lane) = self.by_id.get_mut(&id) else { return };
        lane.counters.readers.dec();
        if let Some(members) = self.cores.get_mut(&core) {
            *members -= 1;
            if *members == 0 {
                self.cores.remove(&core);
            }
        }
        if let Some(at) = lane.members.iter().position(|(on, _)| *on == core) {
            lane.members[at].1 -= 1;
            if lane.members[at].1 == 0 {
                lane.members.swap_remove(at);
            }
        }
        if lane.members.is_empty() && matches!(lane.kind, Kind::Shared(..)) {
            self.close(id);
        }
    }

    /// The cores that have members.
    pub(crate) fn cores(&self) -> impl Iterator<Item = usize> {
        self.cores.keys().copied()
    }

    /// All lanes, by the cores that have members of them.
    pub(crate) fn by_core(&self) -> HashMap<usize, Vec<LaneId>> {
        let mut by_core: HashMap<usize, Vec<LaneId>> = HashMap::new();
        for (id, lane) in &self.by_id {
            for (core, _) in &lane.members {
                by_core.entry(*core).or_default().push(*id);
            }
        }
        for lanes in by_core.values_mut() {
            lanes.sort_unstable();
        }
        by_core
    }

    /// The frames of a segment, by the cores that they are for.
    pub(crate) fn encode(&self, segment: &Segment, hold: impl Fn(usize) -> Held) -> HashMap<usize, Vec<Arc<Frames>>> {
        // In the order of the lanes' identities, so that a run can be repeated.
        let mut growing: BTreeMap<LaneId, Growing> = BTreeMap::new();
        let mut behind = segment.from.clone();
        let mut own: Vec<(&Want, &Lane, bool)> = Vec::new();
        for entry in &segment.entries {
            behind.advance(entry.partition, entry.offset + 1);
            // Lanes that differ in their selection share the frame of an event.
            let mut made = Made::new();
            let seen = Seen::new(&entry.event);
            for want in self.index.candidates(&seen) {
                let lane = &self.by_id[&want.lane];
                if lane.members.is_empty() || !want.wish.selection.wants_seen(&seen) {
                    continue;
                }
                if let Kind::Own { once, .. } = &lane.kind {
                    own.push((want, lane, *once));
                    continue;
                }
                let made = frame_of(&mut made, &want.wish, lane.deflate, entry, &behind);
                if let Some(frame) = &made.frame {
                    growing.entry(want.lane).or_default().join(entry, frame);
                }
            }
            // In the order of the subscriptions of a connection.
            own.sort_unstable_by_key(|(want, ..)| (want.lane, want.serial));
            let mut last = None;
            for (want, lane, once) in own.drain(..) {
                if last.replace(want.lane) == Some(want.lane) && once {
                    continue;
                }
                let made = frame_of(&mut made, &want.wish, lane.deflate, entry, &behind);
                if let Some(frame) = &made.frame {
                    let growing = growing.entry(want.lane).or_default();
                    growing.keep(entry, want.serial, frame, &mut made.is_held);
                }
            }
        }
        let mut by_core: HashMap<usize, Vec<Arc<Frames>>> = HashMap::new();
        for (id, made) in growing {
            let Lane { members, counters, .. } = &self.by_id[&id];
            let weight = made.bytes.len() + made.weight;
            let frames = Arc::new(Frames {
                lane: id,
                from: segment.from.clone().into(),
                _held: hold(weight),
                weight,
                bytes: made.bytes.freeze(),
                apart: made.apart,
                ends: made.ends,
                goes_on: false,
                newest: segment.newest,
                counters: Arc::clone(counters),
            });
            for (core, _) in members {
                by_core.entry(*core).or_default().push(Arc::clone(&frames));
            }
        }
        by_core
    }
}

impl Growing {
    /// One more frame of a lane that many may share: joined at once, for all of them.
    fn join(&mut self, entry: &Entry, frame: &[u8]) {
        self.bytes.extend_from_slice(frame);
        self.ends.push(FrameEnd {
            end: self.bytes.len(),
            partition: entry.partition,
            serial: 0,
            offset: entry.offset,
        });
    }

    /// One more frame of a lane that one connection has to itself: others may hold the same.
    fn keep(&mut self, entry: &Entry, serial: u32, frame: &Bytes, is_held: &mut bool) {
        self.weight += size_of::<Bytes>() + size_of::<FrameEnd>();
        if !std::mem::replace(is_held, true) {
            self.weight += frame.len();
        }
        self.apart.push(frame.clone());
        self.ends.push(FrameEnd {
            end: 0,
            partition: entry.partition,
            serial,
            offset: entry.offset,
        });
    }
}

/// The frame of an event for a wish; made if no other lane has had it made.
fn frame_of<'a, 'w>(
    made: &'a mut Made<'w>,
    wish: &'w Wish,
    deflate: bool,
    entry: &Entry,
    behind: &Position,
) -> &'a mut MadeFrame<'w> {
    let form = wish.encoder.name();
    let find = |made: &Made<'_>, deflate: bool| {
        made.iter()
            .position(|made| (made.form, made.deflate) == (form, deflate))
    };
    let at = find(made, deflate).unwrap_or_else(|| {
        let plain = find(made, false).map(|at| made[at].frame.clone());
        let plain = plain.unwrap_or_else(|| text_frame(&*wish.encoder, &entry.event, entry.place(), behind));
        made.push(MadeFrame {
            form,
            deflate,
            frame: if deflate { plain.map(deflated) } else { plain },
            is_held: false,
        });
        made.len() - 1
    });
    &mut made[at]
}

/// The compressed twin of a frame, or the frame where compression gains nothing. One compressor serves a core: it holds
/// some hundred kilobytes, and nothing between two frames.
pub(crate) fn deflated(frame: Bytes) -> Bytes {
    thread_local! {
        static DEFLATER: RefCell<Deflater> = RefCell::default();
    }
    DEFLATER
        .with_borrow_mut(|deflater| deflater.deflated(&frame))
        .unwrap_or(frame)
}
