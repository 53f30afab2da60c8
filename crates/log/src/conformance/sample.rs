//! Records and comparisons that the properties use.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use sockeye_event::Headers;

use super::Fixture;
use crate::{Batch, Follow, Log, NewRecord, Position, ReadLimit, Record, Retention, Topic};

/// A topic of the property's own.
pub(super) struct Case {
    pub(super) log: Arc<dyn Log>,
    pub(super) topic: Topic,
}

// ----------------------------------------------------------------------------------------------

/// A name that no other property has.
pub(super) fn new_topic() -> Topic {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    Topic::events_of(format!("conformance-{}-{count}", std::process::id()))
}

/// A record that is told from others by its id; those with the same key stay in order.
pub(super) fn record(key: &str, id: usize) -> NewRecord {
    let id = id.to_string();
    let headers = [
        ("ce_id", Some(id.as_bytes())),
        ("ce_partitionkey", Some(key.as_bytes())),
    ];
    NewRecord {
        headers: headers.into_iter().collect(),
        payload: Some(Bytes::from(format!("payload {id}"))),
    }
}

/// Records of three keys by turns.
pub(super) fn records(ids: std::ops::Range<usize>) -> Vec<NewRecord> {
    ids.map(|id| record(["a", "b", "c"][id % 3], id)).collect()
}

/// The id of a record.
pub(super) fn id(headers: &Headers) -> usize {
    std::str::from_utf8(headers.get("ce_id").unwrap())
        .unwrap()
        .parse()
        .unwrap()
}

/// The ids of records.
pub(super) fn ids(records: &[Record]) -> BTreeSet<usize> {
    records.iter().map(|record| id(&record.headers)).collect()
}

/// The records are these: none missing, none twice, those with the same key in the same order.
#[track_caller]
pub(super) fn assert_same(read: &[Record], appended: &[NewRecord]) {
    let by_key = |headers: &mut dyn Iterator<Item = &Headers>| {
        let mut keys = BTreeMap::<Vec<u8>, Vec<usize>>::new();
        for headers in headers {
            let key = headers.get("ce_partitionkey").unwrap().to_vec();
            keys.entry(key).or_default().push(id(headers));
        }
        keys
    };
    assert_eq!(
        by_key(&mut read.iter().map(|record| &record.headers)),
        by_key(&mut appended.iter().map(|record| &record.headers)),
    );
    assert_partitions_ordered(read);
}

/// Within each partition offsets grow, and time does not go back.
#[track_caller]
pub(super) fn assert_partitions_ordered(read: &[Record]) {
    let mut last = BTreeMap::new();
    for record in read {
        if let Some((offset, time)) = last.insert(record.partition, (record.offset, record.time)) {
            assert!(
                record.offset > offset && record.time >= time,
                "{record:?} after {offset} at {time}"
            );
        }
    }
}

impl Case {
    /// An empty topic.
    pub(super) async fn new(fixture: &dyn Fixture) -> Self {
        let case = Self {
            log: fixture.log(),
            topic: new_topic(),
        };
        case.log.create_topic(&case.topic, Retention::default()).await.unwrap();
        case
    }

    pub(super) async fn append(&self, records: Vec<NewRecord>) {
        self.log.append(&self.topic, records).await.unwrap();
    }

    pub(super) async fn oldest(&self) -> Position {
        self.log.span(&self.topic).await.unwrap().oldest
    }

    pub(super) async fn end(&self) -> Position {
        self.log.span(&self.topic).await.unwrap().end
    }

    pub(super) async fn read(&self, from: &Position, limit: ReadLimit) -> Batch {
        self.log.read(&self.topic, from, limit).await.unwrap()
    }

    /// Everything from a position to the end that is there now.
    pub(super) async fn read_all(&self, from: &Position) -> Vec<Record> {
        let (mut at, end) = (from.clone(), self.end().await);
        let mut records = Vec::new();
        while !at.is_at_or_behind(&end) {
            let batch = self.read(&at, ReadLimit::default()).await;
            assert_ne!(batch.next, at, "no step towards the end, {end}");
            records.extend(batch.records);
            at = batch.next;
        }
        records
    }

    pub(super) async fn follow(&self, from: &Position) -> Box<dyn Follow> {
        self.log.follow(&self.topic, from).await.unwrap()
    }
}

/// The next `count` records of a follower.
pub(super) async fn take(follower: &mut dyn Follow, count: usize) -> Vec<Record> {
    let (mut records, mut place) = (Vec::new(), None);
    while records.len() < count {
        let batch = follower.next().await.unwrap();
        let before = place.replace(batch.next.clone());
        assert!(
            !batch.records.is_empty() || before != place,
            "a follower gives something"
        );
        records.extend(batch.records);
    }
    records
}
