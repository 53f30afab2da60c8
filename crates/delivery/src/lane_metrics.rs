//! What is counted of lanes, by their kind.

use std::sync::Arc;

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::frames::Frames;
use crate::subscription::{Field, Selection};

/// The counters of all kinds. A clone counts into the same numbers.
#[derive(Clone, Debug)]
pub(crate) struct LaneMetrics {
    lanes: Family<LaneKind, Gauge>,
    readers: Family<LaneKind, Gauge>,
    bytes: Family<LaneKind, Histogram, fn() -> Histogram>,
    frames: Family<LaneKind, Histogram, fn() -> Histogram>,
    latency: Family<LatencyLabels, Histogram, fn() -> Histogram>,
}

/// The counters of one kind, looked up once per lane.
#[derive(Clone, Debug)]
pub(crate) struct LaneCounters {
    /// Lanes that there are.
    pub(crate) lanes: Gauge,
    /// Their members.
    pub(crate) readers: Gauge,
    bytes: Histogram,
    frames: Histogram,
    first: Histogram,
    last: Histogram,
}

/// What makes lanes cost the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LaneKind {
    /// The field by which it is looked for, or `filter`; `whole` if it is shown every event, `several` if one socket has it to itself, with
    /// several selections.
    selection: &'static str,
    frames: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LatencyLabels {
    selection: &'static str,
    frames: &'static str,
    /// Which of the lane's sockets.
    socket: &'static str,
}

// ----------------------------------------------------------------------------------------------

impl LaneMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let help =
            "Lanes: all who want the same frames; by what they are looked for, and whether frames are compressed";
        registry.register("lanes", help, self.lanes.clone());
        registry.register("lane_readers", "Sockets that lanes write to", self.readers.clone());
        let help = "What lanes wrote to a socket at once";
        registry.register_with_unit("lane_write", help, Unit::Bytes, self.bytes.clone());
        let help = "Frames that lanes wrote to a socket at once";
        registry.register("lane_write_frames", help, self.frames.clone());
        let help = "From the append of an event to its write to the first and to the last socket of a lane";
        registry.register_with_unit("lane_latency", help, Unit::Seconds, self.latency.clone());
    }

    /// The counters of a lane; without a selection, of one with several.
    pub(crate) fn of(&self, selection: Option<&Selection>, deflate: bool) -> Arc<LaneCounters> {
        let look = |selection: &Selection| {
            (
                selection.equality().map(|equality| equality.field),
                selection.filter.is_some(),
            )
        };
        let selection = match selection.map(look) {
            None => "several",
            Some((None, false)) => "whole",
            Some((None, true)) => "filter",
            Some((Some(Field::Stream), _)) => "stream",
            Some((Some(Field::Device), _)) => "device",
            Some((Some(Field::Channel), _)) => "channel",
            Some((Some(Field::Type), _)) => "type",
        };
        let frames = if deflate { "deflated" } else { "plain" };
        let kind = LaneKind { selection, frames };
        let latency = |socket| {
            self.latency.get_or_create_owned(&LatencyLabels {
                selection,
                frames,
                socket,
            })
        };
        Arc::new(LaneCounters {
            lanes: self.lanes.get_or_create_owned(&kind),
            readers: self.readers.get_or_create_owned(&kind),
            bytes: self.bytes.get_or_create_owned(&kind),
            frames: self.frames.get_or_create_owned(&kind),
            first: latency("first"),
            last: latency("last"),
        })
    }
}

impl LaneCounters {
    /// The first socket has what all sockets of the lane get.
    pub(crate) fn first_written(&self, frames: &Frames) {
        self.bytes.observe(frames.bytes.len() as f64);
        self.frames.observe(frames.ends.len() as f64);
        observe_age(&self.first, frames.newest);
    }

    /// All sockets have it.
    pub(crate) fn last_written(&self, frames: &Frames) {
        observe_age(&self.last, frames.newest);
    }
}

fn observe_age(latency: &Histogram, appended: Option<Timestamp>) {
    if let Some(appended) = appended {
        // Below zero if the clock was set back.
        let age = Timestamp::now().duration_since(appended).as_secs_f64();
        latency.observe(age.max(0.0));
    }
}

impl Default for LaneMetrics {
    fn default() -> Self {
        Self {
            lanes: Family::default(),
            readers: Family::default(),
            bytes: Family::new_with_constructor(|| Histogram::new(exponential_buckets(64.0, 4.0, 9))),
            frames: Family::new_with_constructor(|| Histogram::new(exponential_buckets(1.0, 2.0, 9))),
            latency: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.000_25, 2.0, 16))),
        }
    }
}
