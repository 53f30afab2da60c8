//! What is counted.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::End;
use crate::lane_metrics::LaneMetrics;
use crate::segment::Segment;

/// Counters of all connections. A clone counts into the same numbers.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    connections: Family<DialectLabel, Gauge>,
    subscriptions: Family<DialectLabel, Gauge>,
    events: Family<DialectLabel, Counter>,
    sent: Family<DialectLabel, Counter>,
    ignored: Family<DialectLabel, Counter>,
    skipped: Counter,
    ends: Family<EndLabels, Counter>,
    reading: Family<DialectLabel, Gauge>,
    stalled: Family<DialectLabel, Gauge>,
    lanes: LaneMetrics,
    tails: Gauge,
    past: Gauge,
    past_reads: Counter,
    held: Gauge,
    groups_held: Gauge,
}

/// The counters of one dialect, looked up once per connection.
#[derive(Debug)]
pub(crate) struct Counters {
    connections: Gauge,
    /// Subscriptions of connections.
    pub(crate) subscriptions: Gauge,
    /// Events encoded for a socket.
    pub(crate) events: Counter,
    /// Bytes that the socket took.
    pub(crate) sent: Counter,
    /// Messages of clients that have no effect.
    pub(crate) ignored: Counter,
    /// Connections that read by themselves because they are behind.
    pub(crate) reading: Gauge,
    /// Connections whose socket takes nothing although something waits.
    pub(crate) stalled: Gauge,
}

/// One thing that a gauge counts, until it is dropped.
#[derive(Debug)]
pub(crate) struct Open(Gauge);

/// Bytes that a gauge counts, until they are dropped.
#[derive(Debug, Default)]
pub(crate) struct Held {
    gauge: Gauge,
    bytes: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DialectLabel {
    dialect: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndLabels {
    dialect: &'static str,
    cause: &'static str,
    /// The close code; 0 for none.
    code: u32,
    clean: &'static str,
}

// ----------------------------------------------------------------------------------------------

impl Metrics {
    /// Adds the counters to a registry, below `delivery`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("delivery");
        registry.register("connections", "Open sockets, by dialect", self.connections.clone());
        let help = "Subscriptions of open sockets, by dialect; members of groups have none";
        registry.register("subscriptions", help, self.subscriptions.clone());
        registry.register("events", "Events sent to sockets", self.events.clone());
        registry.register_with_unit("sent", "Bytes written to sockets", Unit::Bytes, self.sent.clone());
        let help = "Messages of clients that were read and have no effect";
        registry.register("ignored_messages", help, self.ignored.clone());
        let help = "Records that are no events";
        registry.register("skipped_records", help, self.skipped.clone());
        let help = "Sockets that are behind and read by themselves, by dialect";
        registry.register("readers_behind", help, self.reading.clone());
        let help = "Sockets that take nothing although something waits for them, by dialect";
        registry.register("readers_stalled", help, self.stalled.clone());
        let help = "The newest events of topics, kept in memory for readers that fall behind";
        registry.register_with_unit("tail", help, Unit::Bytes, self.tails.clone());
        let help = "Events of the past that were read again, kept in memory for other readers that are behind";
        registry.register_with_unit("past", help, Unit::Bytes, self.past.clone());
        let help = "Reads of the log for readers that are behind: one serves all that are near each other";
        registry.register("past_reads", help, self.past_reads.clone());
        let help = "Events in memory: the newest, those of the past, those on their way there, and frames that lanes have to write";
        registry.register_with_unit("held", help, Unit::Bytes, self.held.clone());
        let help = "Events that groups hold until their receipt, and their frames";
        registry.register_with_unit("groups_held", help, Unit::Bytes, self.groups_held.clone());
        self.lanes.register(registry);
        let help = "Sockets that ended: why, with which close code (0: none), and whether both sides closed";
        registry.register("closes", help, self.ends.clone());
    }

    pub(crate) fn of(&self, dialect: &'static str) -> Counters {
        let label = DialectLabel { dialect };
        Counters {
            connections: self.connections.get_or_create(&label).clone(),
            subscriptions: self.subscriptions.get_or_create(&label).clone(),
            events: self.events.get_or_create(&label).clone(),
            sent: self.sent.get_or_create(&label).clone(),
            ignored: self.ignored.get_or_create(&label).clone(),
            reading: self.reading.get_or_create(&label).clone(),
            stalled: self.stalled.get_or_create(&label).clone(),
        }
    }

    /// Counts what a segment has.
    pub(crate) fn segment(&self, segment: &Segment) {
        self.skipped.inc_by(segment.skipped);
    }

    /// Bytes of events that are kept in memory for readers, now: the newest of all topics, and those of the past.
    pub fn kept_bytes(&self) -> usize {
        (self.tails.get() + self.past.get()) as usize
    }

    /// Bytes of all events in memory, now: what is kept, what is on its way there, and frames that lanes have to write.
    pub fn held_bytes(&self) -> usize {
        self.held.get() as usize
    }

    /// Reads of the log for readers that are behind, so far.
    pub fn past_reads(&self) -> u64 {
        self.past_reads.get()
    }

    pub(crate) fn past_read(&self) {
        self.past_reads.inc();
    }

    /// Shows what the tails hold.
    pub(crate) fn tails(&self) -> Gauge {
        self.tails.clone()
    }

    /// Shows what is kept of the past.
    pub(crate) fn past(&self) -> Gauge {
        self.past.clone()
    }

    /// Counts events in memory until the answer is dropped.
    pub(crate) fn hold(&self, bytes: usize) -> Held {
        Held::count(&self.held, bytes)
    }

    /// Counts what groups hold until the answer is dropped.
    pub(crate) fn hold_for_groups(&self, bytes: usize) -> Held {
        Held::count(&self.groups_held, bytes)
    }

    /// Shows what groups hold.
    pub(crate) fn groups_held(&self) -> Gauge {
        self.groups_held.clone()
    }

    /// Bytes of events that groups hold until their receipt, and of their frames, now.
    pub fn group_bytes(&self) -> usize {
        self.groups_held.get() as usize
    }

    /// What lanes count.
    pub(crate) fn lanes(&self) -> LaneMetrics {
        self.lanes.clone()
    }

    /// Counts the end of a connection.
    pub(crate) fn ended(&self, dialect: &'static str, end: End) {
        let labels = EndLabels {
            dialect,
            cause: end.cause.as_str(),
            code: end.code.map_or(0, u32::from),
            clean: if end.clean { "true" } else { "false" },
        };
        self.ends.get_or_create(&labels).inc();
    }
}

impl Counters {
    /// Counts a connection until the answer is dropped.
    pub(crate) fn open(&self) -> Open {
        Open::count(&self.connections)
    }

    /// Counts a connection that reads by itself until the answer is dropped.
    pub(crate) fn behind(&self) -> Open {
        Open::count(&self.reading)
    }
}

impl Open {
    pub(crate) fn count(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Held {
    fn count(gauge: &Gauge, bytes: usize) -> Self {
        let (gauge, bytes) = (gauge.clone(), bytes as i64);
        gauge.inc_by(bytes);
        Self { gauge, bytes }
    }

    /// Takes some of the bytes out, to be dropped by themselves.
    pub(crate) fn split(&mut self, bytes: usize) -> Self {
        let bytes = (bytes as i64).min(self.bytes);
        self.bytes -= bytes;
        let gauge = self.gauge.clone();
        Self { gauge, bytes }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.gauge.dec_by(self.bytes);
    }
}
