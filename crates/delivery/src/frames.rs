//! Frames on their way from a topic to the sockets of a lane.

use std::iter;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use sockeye_limits as limits;

use crate::lane_metrics::LaneCounters;
use crate::lanes::LaneId;
use crate::metrics::Held;
use crate::reached::Reached;

/// The frames of one lane from one segment, ready to be written to all of its sockets.
#[derive(Debug)]
pub(crate) struct Frames {
    pub(crate) lane: LaneId,
    /// How far its sockets have come before these.
    pub(crate) from: Reached,
    /// The frames, joined.
    pub(crate) bytes: Bytes,
    /// The frames of a lane that one connection has to itself: joined when they are written, for they are shared with other
    /// such lanes, and might be too much for one write.
    pub(crate) apart: Vec<Bytes>,
    /// Where each of them ends in the joined bytes.
    pub(crate) ends: Vec<FrameEnd>,
    /// Whether the event of the last frame has more of them behind these.
    pub(crate) goes_on: bool,
    /// Bytes that it holds and others do not.
    pub(crate) weight: usize,
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
    /// The subscription that it is for, in a lane that one connection has to itself.
    pub(crate) serial: u32,
    pub(crate) offset: u64,
}

// ----------------------------------------------------------------------------------------------

impl Frames {
    /// How far a client has come that has been sent the first `count` frames.
    pub(crate) fn reached_after(&self, count: usize) -> Reached {
        let mut reached = self.from.clone();
        for (at, sent) in self.ends[..count].iter().enumerate() {
            let goes_on = self.ends.get(at + 1).map_or(self.goes_on, |next| next.is_of(sent));
            if goes_on {
                reached.give(sent.partition, sent.offset, sent.serial);
            } else {
                reached.pass(sent.partition, sent.offset);
            }
        }
        reached
    }

    /// What is due to a lane, in writes of at most [`limits::WS_WRITE_CHUNK`] bytes, or of one part where that is larger.
    pub(crate) fn writes(due: &[Arc<Self>]) -> impl Iterator<Item = Arc<Self>> {
        let (shared, own) = match due {
            [first, ..] if !first.apart.is_empty() => (&[][..], due),
            _ => (due, &[][..]),
        };
        writes_of(shared, |part| part.bytes.len())
            .map(Self::joined)
            .chain(own.iter().flat_map(Self::split))
    }

    /// Joins frames of one lane that follow each other.
    fn joined(parts: &[Arc<Self>]) -> Arc<Self> {
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
        Arc::new(parts[0].write(parts[0].from.clone(), bytes.freeze(), ends, false))
    }

    /// Joins the frames of one segment.
    fn split(self: &Arc<Self>) -> impl Iterator<Item = Arc<Self>> {
        let (mut from, mut given) = (self.from.clone(), 0);
        writes_of(&self.apart, Bytes::len).map(move |frames| {
            let mut bytes = BytesMut::with_capacity(frames.iter().map(Bytes::len).sum());
            let mut ends = Vec::with_capacity(frames.len());
            for (frame, end) in frames.iter().zip(&self.ends[given..]) {
                bytes.extend_from_slice(frame);
                let end = FrameEnd {
                    end: bytes.len(),
                    ..*end
                };
                ends.push(end);
            }
            given += frames.len();
            let goes_on = matches!((ends.last(), self.ends.get(given)), (Some(last), Some(next)) if next.is_of(last));
            let write = self.write(from.clone(), bytes.freeze(), ends, goes_on);
            from = write.reached_after(write.ends.len());
            Arc::new(write)
        })
    }

    /// One write at a time is counted by nobody.
    fn write(&self, from: Reached, bytes: Bytes, ends: Vec<FrameEnd>, goes_on: bool) -> Self {
        Self {
            lane: self.lane,
            from,
            weight: bytes.len(),
            bytes,
            apart: Vec::new(),
            ends,
            goes_on,
            newest: self.newest,
            counters: Arc::clone(&self.counters),
            _held: Held::default(),
        }
    }
}

impl FrameEnd {
    /// Whether it shows the same event.
    fn is_of(&self, other: &Self) -> bool {
        (self.partition, self.offset) == (other.partition, other.offset)
    }
}

/// Cuts parts into writes.
fn writes_of<T>(parts: &[T], size: impl Fn(&T) -> usize) -> impl Iterator<Item = &[T]> {
    let mut rest = parts;
    iter::from_fn(move || {
        let mut bytes = 0;
        let fitting = rest.iter().take_while(|part| {
            bytes += size(part);
            bytes <= limits::WS_WRITE_CHUNK
        });
        let count = fitting.count().max(1);
        let (one, after) = rest.split_at_checked(count)?;
        rest = after;
        Some(one)
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use sockeye_log::{Incarnation, Position};

    use super::*;
    use crate::Metrics;

    /// Frames of a lane of one connection, each of so many bytes, for an offset and a subscription.
    pub(crate) fn own(from: Reached, frames: &[(usize, u64, u32)]) -> Arc<Frames> {
        let ends = frames.iter().map(|(_, offset, serial)| FrameEnd {
            end: 0,
            partition: 0,
            serial: *serial,
            offset: *offset,
        });
        Arc::new(Frames {
            lane: LaneId::NONE,
            from,
            bytes: Bytes::new(),
            apart: frames.iter().map(|(size, ..)| Bytes::from(vec![0; *size])).collect(),
            ends: ends.collect(),
            goes_on: false,
            weight: 0,
            newest: None,
            counters: Metrics::default().lanes().of(None, false),
            _held: Held::default(),
        })
    }

    /// Between two writes, and between two frames of one event, a socket may be full: what was given is known.
    #[test]
    fn a_large_segment_of_one_connection_goes_out_in_parts() {
        let position = |next| Position::new(Incarnation(1), [(0, next)]);
        let half = limits::WS_WRITE_CHUNK / 2;
        let frames = [
            (half, 3, 1),
            (half, 3, 4),
            (half, 3, 6),
            (10, 4, 2),
            (2 * half + 1, 4, 9),
            (1, 7, 1),
        ];
        let writes: Vec<_> = Frames::writes(&[own(position(2).into(), &frames)]).collect();
        let sizes: Vec<_> = writes.iter().map(|write| write.bytes.len()).collect();
        assert_eq!(sizes, [2 * half, half + 10, 2 * half + 1, 1]);
        let ends: Vec<_> = writes[1].ends.iter().map(|end| end.end).collect();
        assert_eq!(ends, [half, half + 10]);
        let reached = |write: &Arc<Frames>, count| {
            let Reached { position, partly } = write.reached_after(count);
            (
                position.offset(0),
                partly.first().map(|partly| (partly.offset, partly.serial)),
            )
        };
        assert_eq!(reached(&writes[0], 0), (2, None));
        assert_eq!(reached(&writes[0], 1), (2, Some((3, 1))));
        assert_eq!(reached(&writes[1], 0), (2, Some((3, 4))));
        assert_eq!(reached(&writes[1], 1), (4, None));
        assert_eq!(reached(&writes[1], 2), (4, Some((4, 2))));
        assert_eq!(reached(&writes[3], 0), (5, None));
        assert_eq!(reached(&writes[3], 1), (8, None));
    }
}
