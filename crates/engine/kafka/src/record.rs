//! Records as Kafka messages and back (CloudEvents Kafka binding, compat/drogue.md 2.5).
//!
//! Kafka's headers may repeat and may be null; both survive.

use std::sync::Arc;

use bytestring::ByteString;
use jiff::Timestamp;
use rdkafka::message::{Header, OwnedHeaders};
use sockeye_event::HeadersBuilder;
use sockeye_log::{NewRecord, Record};

use crate::{
    PlainJson,
    native::Message,
    plain::{Plain, Said, is_cloud_event},
};

/// How messages of a topic are read.
#[derive(Clone)]
pub(crate) struct Reading {
    /// What the topic is called in Kafka.
    pub(crate) name: String,
    pub(crate) application: ByteString,
    pub(crate) records: Records,
}

/// What is in a topic.
#[derive(Clone)]
pub(crate) enum Records {
    /// CloudEvents; and plain JSON, if it is said how that becomes events: else nobody can read it.
    Events(Option<Arc<PlainJson>>),
    /// Whatever others put there. Each is an event with the payload as it is, whatever its headers say.
    Others,
}

/// Bytes that the headers of an event of a device take, about: a buffer that is large enough is never copied.
const USUAL_HEADERS: usize = 512;

// ----------------------------------------------------------------------------------------------

/// The key, which decides about the partition: the `partitionkey` extension, else the id. Without either, Kafka chooses.
pub(crate) fn key(record: &NewRecord) -> Option<&[u8]> {
    record
        .headers
        .get("ce_partitionkey")
        .or_else(|| record.headers.get("ce_id"))
}

/// The headers of a message.
pub(crate) fn headers(record: &NewRecord) -> OwnedHeaders {
    record
        .headers
        .iter()
        .fold(OwnedHeaders::new(), |headers, (name, value)| {
            // Names are made from `str`.
            headers.insert(Header {
                key: &String::from_utf8_lossy(name),
                value,
            })
        })
}

impl Reading {
    /// A message that was read.
    pub(crate) fn read(&self, message: &Message<'_>) -> Record {
        let payload = message.payload();
        let mut headers = HeadersBuilder::with_capacity(USUAL_HEADERS + payload.map_or(0, <[u8]>::len));
        message.each_header(|name, value| headers.push(name, value));
        let (headers, payload) = match payload {
            Some(payload) => {
                let (headers, payload) = headers.build_with(payload);
                (headers, Some(payload))
            }
            None => (headers.build(), None),
        };
        let mut record = Record {
            partition: message.partition().unsigned_abs(),
            offset: message.offset().unsigned_abs(),
            // A foreign producer may have set any time, or none.
            time: Timestamp::from_millisecond(message.time()).unwrap_or(Timestamp::UNIX_EPOCH),
            headers,
            payload,
        };
        let plain = Plain {
            application: &self.application,
            topic: &self.name,
            partition: record.partition,
            offset: record.offset,
            time: record.time,
            key: message.key(),
        };
        match (&self.records, &record.payload) {
            (Records::Others, _) => record.headers = plain.headers(Said::default()),
            (Records::Events(Some(mapping)), Some(payload)) if !is_cloud_event(&record.headers) => {
                if let Some((headers, payload)) = mapping.event(&plain, payload) {
                    (record.headers, record.payload) = (headers, Some(payload));
                }
            }
            (Records::Events(_), _) => {}
        }
        record
    }
}
