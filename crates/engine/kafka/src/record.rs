//! Records as Kafka messages and back (CloudEvents Kafka binding, compat/drogue.md 2.5).
//!
//! Kafka's headers may repeat and may be null; both survive.

use bytes::Bytes;
use jiff::Timestamp;
use rdkafka::message::{Header, OwnedHeaders};
use sockeye_event::HeadersBuilder;
use sockeye_log::{NewRecord, Record};

use crate::native::Message;

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

/// A message that was read.
pub(crate) fn read(message: &Message<'_>) -> Record {
    let mut headers = HeadersBuilder::new();
    message.each_header(|name, value| headers.push(name, value));
    Record {
        partition: message.partition().unsigned_abs(),
        offset: message.offset().unsigned_abs(),
        // A foreign producer may have set any time, or none.
        time: Timestamp::from_millisecond(message.time()).unwrap_or(Timestamp::UNIX_EPOCH),
        headers: headers.build(),
        payload: message.payload().map(Bytes::copy_from_slice),
    }
}
