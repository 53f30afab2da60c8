//! What the tests of the engine share.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::ops::Range;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use sockeye_engine_sqlite::{Clock, Options, SqliteEngine};
use sockeye_event::Headers;
use sockeye_log::{Batch, Log, NewRecord, Position, ReadError, ReadLimit, Record, Retention, Topic};
use tempfile::TempDir;

/// A clock that tests set.
#[derive(Debug)]
pub struct Hands(pub Mutex<(Timestamp, Duration)>);

// ----------------------------------------------------------------------------------------------

impl Hands {
    pub fn new() -> Self {
        Self(Mutex::new((
            Timestamp::UNIX_EPOCH + Duration::from_hours(500_000),
            Duration::ZERO,
        )))
    }

    /// Time passes.
    pub fn pass(&self, time: Duration) {
        let mut hands = self.0.lock().unwrap();
        hands.0 += time;
        hands.1 += time;
    }

    /// The wall clock is set.
    pub fn jump(&self, time: SignedDuration) {
        self.0.lock().unwrap().0 += time;
    }
}

impl Clock for Hands {
    fn wall(&self) -> Timestamp {
        self.0.lock().unwrap().0
    }

    fn uptime(&self) -> Duration {
        self.0.lock().unwrap().1
    }
}

pub fn open(folder: &TempDir, options: Options) -> SqliteEngine {
    SqliteEngine::open(folder.path().join("sockeye.db"), options).unwrap()
}

/// An engine with an empty topic.
pub async fn engine() -> (TempDir, SqliteEngine, Topic) {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(&folder, Options::default());
    let topic = Topic::events_of("garden");
    engine.create_topic(&topic, Retention::default()).await.unwrap();
    (folder, engine, topic)
}

pub fn record(id: usize, size: usize) -> NewRecord {
    let id = id.to_string();
    let headers: Headers = [("ce_id", Some(id.as_bytes()))].into_iter().collect();
    let payload = Bytes::from(vec![b'x'; size.saturating_sub(headers.len())]);
    NewRecord {
        headers,
        payload: Some(payload),
    }
}

pub fn records(ids: Range<usize>, size: usize) -> Vec<NewRecord> {
    ids.map(|id| record(id, size)).collect()
}

pub fn ids(records: &[Record]) -> Vec<usize> {
    let id = |record: &Record| {
        std::str::from_utf8(record.headers.get("ce_id").unwrap())
            .unwrap()
            .parse()
            .unwrap()
    };
    records.iter().map(id).collect()
}

/// The ids of everything that is there.
pub async fn all(engine: &SqliteEngine, topic: &Topic) -> Vec<usize> {
    loop {
        let span = engine.span(topic).await.unwrap();
        match since(engine, topic, &span.oldest).await {
            Ok(ids) => return ids,
            // Retention was faster.
            Err(error) => assert!(matches!(error, ReadError::Trimmed { .. }), "{error}"),
        }
    }
}

/// The ids of everything from a position on.
pub async fn since(engine: &SqliteEngine, topic: &Topic, from: &Position) -> Result<Vec<usize>, ReadError> {
    let mut at = from.clone();
    let mut found = Vec::new();
    loop {
        let Batch { records, next } = engine.read(topic, &at, ReadLimit::default()).await?;
        if records.is_empty() {
            return Ok(found);
        }
        found.extend(ids(&records));
        at = next;
    }
}

/// Waits until something holds; it must within two minutes. Between two looks it rests: a loop that spins takes the cores from
/// what it waits for.
pub async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < Duration::from_mins(2), "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
