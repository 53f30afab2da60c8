//! Topics and their records.

use std::fmt;

use bytes::Bytes;
use bytestring::ByteString;
use jiff::Timestamp;
use sockeye_event::Headers;

use crate::Position;

/// A named log. Today each is an application's events; the engine decides what it is called in storage
/// (Kafka: compat/drogue.md 2.6).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Topic(ByteString);

/// A record to be appended: a CloudEvent in binary mode (`sockeye_event::binary`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    /// Attributes, as headers.
    pub headers: Headers,
    /// The payload; `None` where the event has none.
    pub payload: Option<Bytes>,
}

/// A record that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The partition it is in.
    pub partition: u32,
    /// Its place in the partition.
    pub offset: u64,
    /// When it was appended, by the engine's clock; never before that of an earlier record of the partition.
    pub time: Timestamp,
    /// Attributes, as headers. What a foreign producer wrote may be no CloudEvent.
    pub headers: Headers,
    /// The payload; `None` is Kafka's null.
    pub payload: Option<Bytes>,
}

/// Records that follow a position without gap, in the order of each partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The records; may be empty where [`Batch::next`] has moved (Kafka's transaction markers are no records).
    pub records: Vec<Record>,
    /// Where to read on.
    pub next: Position,
}

// ----------------------------------------------------------------------------------------------

impl Topic {
    /// The log of an application's events.
    pub fn events_of(application: impl Into<ByteString>) -> Self {
        Self(application.into())
    }

    /// The application.
    pub fn application(&self) -> &ByteString {
        &self.0
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl NewRecord {
    /// Bytes it counts for against limits: headers and payload.
    pub fn size(&self) -> usize {
        self.headers.len() + self.payload.as_ref().map_or(0, Bytes::len)
    }
}

impl Record {
    /// Bytes it counts for against limits: headers and payload.
    pub fn size(&self) -> usize {
        self.headers.len() + self.payload.as_ref().map_or(0, Bytes::len)
    }
}
