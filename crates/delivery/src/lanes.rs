//! The lanes of a topic: filtered once, encoded once.
//!
//! A lane is looked for by one equality of its selection (a device, a channel, a type), so that an event costs what it
//! matches, not what there is.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use jiff::Timestamp;
use sockeye_event::Event;
use sockeye_log::Position;
use sockeye_ws::deflate::Deflater;

use crate::lane_metrics::{LaneCounters, LaneMetrics};
use crate::metrics::Held;
use crate::segment::Segment;
use crate::session::{Encoder, text_frame};
use crate::subscription::{Field, Selection};

/// Identity of a lane, never used twice in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LaneId(u64);

/// What makes frames byte-identical.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LaneKey {
    pub(crate) selection: Selection,
    /// Name of the encoder.
    pub(crate) form: &'static str,
    /// Whether frames are compressed (permessage-deflate).
    pub(crate) deflate: bool,
}

/// The frames of one lane from one segment, ready to be written to all of its sockets.
#[derive(Debug)]
pub(crate) struct Frames {
    pub(crate) lane: LaneId,
    /// The topic's head before the segment.
    pub(crate) from: Position,
    /// The frames, joined.
    pub(crate) bytes: Bytes,
    /// Where each of them ends.
    pub(crate) ends: Vec<FrameEnd>,
    /// When the newest record of the segment was appended.
    pub(crate) newest: Option<Timestamp>,
    /// Of the lane's kind.
    pub(crate) counters: Arc<LaneCounters>,
    /// Counts the bytes until they are written.
    pub(crate) _held: Held,
}

/// The end of a frame in the joined bytes, and the record that it shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameEnd {
    pub(crate) end: usize,
    pub(crate) partition: u32,
    pub(crate) offset: u64,
}

/// All lanes of a topic.
#[derive(Default)]
pub(crate) struct Lanes {
    ids: HashMap<LaneKey, LaneId>,
    by_id: HashMap<LaneId, Lane>,
    /// Lanes by the equality that an event must fulfil for them: a map for each field, in the order of [`Field::ALL`].
    index: [HashMap<ByteString, Vec<LaneId>>; Field::ALL.len()],
    /// Lanes that want every event, or cannot be looked for.
    others: Vec<LaneId>,
    /// Members of all lanes, by core.
    cores: HashMap<usize, usize>,
}

struct Lane {
    key: LaneKey,
    encoder: Arc<dyn Encoder>,
    /// Members on each core.
    members: Vec<(usize, usize)>,
    counters: Arc<LaneCounters>,
}

/// Frames of one event: name of the encoder, whether compressed, frame.
type Made = Vec<(&'static str, bool, Bytes)>;

/// The frames of one lane while they are made.
struct Growing {
    bytes: BytesMut,
    ends: Vec<FrameEnd>,
}

// ----------------------------------------------------------------------------------------------

#[cfg(test)]
impl LaneId {
    /// Of no lane.
    pub(crate) const NONE: Self = Self(u64::MAX);
}

impl Lanes {
    /// Counts one more member on this core.
    pub(crate) fn join(
        &mut self,
        key: LaneKey,
        encoder: Arc<dyn Encoder>,
        core: usize,
        metrics: &LaneMetrics,
    ) -> LaneId {
        let id = *self.ids.entry(key.clone()).or_insert_with(|| {
            static NEXT: AtomicU64 = AtomicU64::new(0);
            let id = LaneId(NEXT.fetch_add(1, Ordering::Relaxed));
            match key.selection.equality() {
                Some((field, value)) => self.index[field as usize].entry(value.clone()).or_default().push(id),
                None => self.others.push(id),
            }
            let counters = metrics.of(&key);
            counters.lanes.inc();
            self.by_id.insert(
                id,
                Lane {
                    key,
                    encoder,
                    members: Vec::new(),
                    counters,
                },
            );
            id
        });
        *self.cores.entry(core).or_default() += 1;
        let lane = self.by_id.get_mut(&id).expect("a lane that has an id is there");
        lane.counters.readers.inc();
        match lane.members.iter_mut().find(|(on, _)| *on == core) {
            Some((_, members)) => *members += 1,
            None => lane.members.push((core, 1)),
        }
        id
    }

    /// Counts one member less; a lane without members goes.
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
        if !lane.members.is_empty() {
            return;
        }
        if let Some(lane) = self.by_id.remove(&id) {
            lane.counters.lanes.dec();
            self.ids.remove(&lane.key);
            match lane.key.selection.equality() {
                Some((field, value)) => {
                    let index = &mut self.index[field as usize];
                    if let Some(lanes) = index.get_mut(value) {
                        lanes.retain(|other| *other != id);
                        if lanes.is_empty() {
                            index.remove(value);
                        }
                    }
                }
                None => self.others.retain(|other| *other != id),
            }
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
        for entry in &segment.entries {
            behind.advance(entry.partition, entry.offset + 1);
            // Lanes that differ in their selection share the frame of an event.
            let mut made = Made::new();
            for id in self.candidates(&entry.event) {
                let lane = &self.by_id[&id];
                if !lane.key.selection.wants(&entry.event) {
                    continue;
                }
                let frame = frame_of(&mut made, lane, &entry.event, &behind);
                let growing = growing.entry(id).or_insert_with(|| Growing {
                    bytes: BytesMut::new(),
                    ends: Vec::new(),
                });
                growing.bytes.extend_from_slice(&frame);
                let end = growing.bytes.len();
                growing.ends.push(FrameEnd {
                    end,
                    partition: entry.partition,
                    offset: entry.offset,
                });
            }
        }
        let mut by_core: HashMap<usize, Vec<Arc<Frames>>> = HashMap::new();
        for (lane, Growing { bytes, ends }) in growing {
            let Lane { members, counters, .. } = &self.by_id[&lane];
            let frames = Arc::new(Frames {
                lane,
                from: segment.from.clone(),
                _held: hold(bytes.len()),
                bytes: bytes.freeze(),
                ends,
                newest: segment.newest,
                counters: Arc::clone(counters),
            });
            for (core, _) in members {
                by_core.entry(*core).or_default().push(Arc::clone(&frames));
            }
        }
        by_core
    }

    /// The lanes that may want an event.
    fn candidates(&self, event: &Event) -> impl Iterator<Item = LaneId> {
        let indexed = Field::ALL
            .into_iter()
            .zip(&self.index)
            .filter(|(_, index)| !index.is_empty());
        let found = indexed
            .filter_map(|(field, index)| index.get(field.of(event)?))
            .flatten();
        found.chain(&self.others).copied()
    }
}

/// The frame of an event for a lane; made if no other lane has had it made.
fn frame_of(made: &mut Made, lane: &Lane, event: &Event, behind: &Position) -> Bytes {
    let LaneKey { form, deflate, .. } = lane.key;
    if let Some((.., frame)) = made
        .iter()
        .find(|(name, compressed, _)| (*name, *compressed) == (form, deflate))
    {
        return frame.clone();
    }
    let plain = made
        .iter()
        .find(|(name, compressed, _)| (*name, *compressed) == (form, false));
    let plain = plain.map_or_else(
        || text_frame(&*lane.encoder, event, behind),
        |(.., frame)| frame.clone(),
    );
    let frame = if deflate { deflated(plain) } else { plain };
    made.push((form, deflate, frame.clone()));
    frame
}

/// The compressed twin of a frame, or the frame where compression gains nothing. One compressor serves a core: it holds
/// some hundred kilobytes, and nothing between two frames.
fn deflated(frame: Bytes) -> Bytes {
    thread_local! {
        static DEFLATER: RefCell<Deflater> = RefCell::default();
    }
    DEFLATER
        .with_borrow_mut(|deflater| deflater.deflated(&frame))
        .unwrap_or(frame)
}

impl Frames {
    /// The position of a client that has been sent the first `count` frames.
    pub(crate) fn position_after(&self, count: usize) -> Position {
        let mut position = self.from.clone();
        for sent in &self.ends[..count] {
            position.advance(sent.partition, sent.offset + 1);
        }
        position
    }

    /// Joins frames of one lane that follow each other, as far as they fit into one write.
    pub(crate) fn joined(parts: &[Arc<Self>]) -> Arc<Self> {
        if let [one] = parts {
            return Arc::clone(one);
        }
        let mut bytes = BytesMut::with_capacity(parts.iter().map(|part| part.bytes.len()).sum());
        let mut ends = Vec::with_capacity(parts.iter().map(|part| part.ends.len()).sum());
        for part in parts {
            let before = bytes.len();
            bytes.extend_from_slice(&part.bytes);
            ends.extend(part.ends.iter().map(|end| FrameEnd {
                end: before + end.end,
                ..*end
            }));
        }
        Arc::new(Self {
            lane: parts[0].lane,
            from: parts[0].from.clone(),
            bytes: bytes.freeze(),
            ends,
            newest: parts[0].newest,
            counters: Arc::clone(&parts[0].counters),
            // One write at a time.
            _held: Held::default(),
        })
    }
}
