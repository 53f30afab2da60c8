//! Engines, records and followers that the tests use.
#![allow(dead_code, reason = "each test uses its part")]

pub(crate) mod proxy;

use std::time::Duration;

use bytes::Bytes;
use sockeye_engine_kafka::{KafkaLog, KafkaOptions};
use sockeye_log::{Follow, Log as _, NewRecord, Record, Retention, Topic};
use sockeye_parts::kafka::Kafka;

/// Nothing that is waited for here takes longer on a slow machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

// ----------------------------------------------------------------------------------------------

/// An engine with new topics of so many partitions, and an empty topic called so.
pub(crate) async fn engine(kafka: &Kafka, partitions: u16, application: &'static str) -> (KafkaLog, Topic) {
    let options = KafkaOptions {
        bootstrap: kafka.bootstrap(),
        partitions: Some(partitions),
        ..KafkaOptions::default()
    };
    let log = KafkaLog::new(&options).expect("the options are right");
    let topic = Topic::events_of(application);
    log.create_topic(&topic, Retention::default())
        .await
        .expect("a topic can be made");
    (log, topic)
}

pub(crate) fn record(headers: &[(&str, Option<&[u8]>)], payload: &'static str) -> NewRecord {
    NewRecord {
        headers: headers.iter().copied().collect(),
        payload: Some(Bytes::from_static(payload.as_bytes())),
    }
}

pub(crate) fn payloads(records: &[Record]) -> Vec<String> {
    let text = |record: &Record| String::from_utf8_lossy(record.payload.as_deref().unwrap_or(b"null")).into_owned();
    records.iter().map(text).collect()
}

/// The next records of a follower.
pub(crate) async fn take(follower: &mut dyn Follow, count: usize) -> Vec<Record> {
    let mut records = Vec::new();
    while records.len() < count {
        let next = tokio::time::timeout(PATIENCE, follower.next())
            .await
            .expect("it gives records");
        records.extend(next.expect("it gives records").records);
    }
    records
}
