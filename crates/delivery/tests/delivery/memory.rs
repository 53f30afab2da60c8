//! A log in memory that can be made to fail.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytestring::ByteString;
use jiff::Timestamp;
use sockeye_event::{Event, Headers, binary};
use sockeye_log::{
    AppendError, Batch, Content, Follow, Incarnation, Log, NewRecord, Position, ReadError, ReadLimit, Record,
    Retention, Span, Topic, TopicError, Unavailable,
};
use tokio::sync::watch;

/// A log of one topic with one partition, and its dead letters.
#[derive(Clone, Default)]
pub(crate) struct Memory {
    state: Arc<Mutex<State>>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    records: Vec<(Headers, Option<bytes::Bytes>)>,
    failure: Option<ReadError>,
    /// Readers that were opened.
    opened: usize,
    /// Records that were given to readers.
    given: usize,
    /// Reads of the past.
    reads: usize,
    /// What is before this offset was removed.
    trimmed: u64,
    dead: Option<Vec<NewRecord>>,
}

struct Reader {
    log: Memory,
    next: u64,
}

// ----------------------------------------------------------------------------------------------

impl Memory {
    /// Appends events with these payloads, on a channel.
    pub(crate) fn append(&self, channel: &str, payloads: impl IntoIterator<Item = String>) {
        let records = payloads.into_iter().map(|payload| {
            let event = Event {
                id: id_of(&payload),
                source: "test".into(),
                ty: "test".into(),
                data_content_type: None,
                data_schema: None,
                subject: Some(channel.into()),
                time: None,
                extensions: Vec::new(),
                data: Some(payload.into()),
            };
            binary::encode(&event)
        });
        self.append_raw(records);
    }

    /// Appends an event of a device with this payload.
    pub(crate) fn append_of(&self, device: &str, payload: &str) {
        let event = Event {
            id: payload.into(),
            source: "test".into(),
            ty: "test".into(),
            data_content_type: None,
            data_schema: None,
            subject: None,
            time: None,
            extensions: vec![("device".into(), device.into())],
            data: Some(payload.to_owned().into()),
        };
        self.append_raw([binary::encode(&event)]);
    }

    /// The dead letters.
    pub(crate) fn dead(&self) -> Vec<NewRecord> {
        self.state.lock().unwrap().dead.clone().unwrap_or_default()
    }

    pub(crate) fn append_raw(&self, records: impl IntoIterator<Item = (Headers, Option<bytes::Bytes>)>) {
        self.state.lock().unwrap().records.extend(records);
        self.changed.send_replace(());
    }

    /// Lets every reader fail from now on, or no more.
    pub(crate) fn fail(&self, failure: Option<ReadError>) {
        self.state.lock().unwrap().failure = failure;
        self.changed.send_replace(());
    }

    pub(crate) fn unavailable(&self) {
        self.fail(Some(Unavailable("gone fishing".to_owned()).into()));
    }

    pub(crate) fn opened(&self) -> usize {
        self.state.lock().unwrap().opened
    }

    pub(crate) fn reads(&self) -> usize {
        self.state.lock().unwrap().reads
    }

    /// Removes what is before this offset.
    pub(crate) fn trim(&self, before: u64) {
        self.state.lock().unwrap().trimmed = before;
    }

    /// Records that were appended.
    pub(crate) fn len(&self) -> u64 {
        self.state.lock().unwrap().records.len() as u64
    }

    pub(crate) fn given(&self) -> usize {
        self.state.lock().unwrap().given
    }
}

#[async_trait]
impl Log for Memory {
    async fn follow(&self, _: &Topic, from: &Position) -> Result<Box<dyn Follow>, ReadError> {
        let mut state = self.state.lock().unwrap();
        state.opened += 1;
        match &state.failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(Box::new(Reader {
                log: self.clone(),
                next: from.offset(0),
            })),
        }
    }
    async fn create_topic(&self, topic: &Topic, _: Retention) -> Result<(), TopicError> {
        assert_eq!(*topic.content(), Content::DeadLetters, "delivery makes no other");
        self.state.lock().unwrap().dead.get_or_insert_default();
        Ok(())
    }
    async fn delete_topic(&self, _: &Topic) -> Result<(), TopicError> {
        unreachable!("delivery only follows")
    }
    async fn append(&self, topic: &Topic, records: Vec<NewRecord>) -> Result<(), AppendError> {
        assert_eq!(*topic.content(), Content::DeadLetters, "delivery follows the others");
        tokio::task::yield_now().await;
        let mut state = self.state.lock().unwrap();
        if let Some(ReadError::Unavailable(failure)) = &state.failure {
            return Err(failure.clone().into());
        }
        let dead = state.dead.as_mut();
        dead.ok_or_else(|| AppendError::NoTopic(topic.clone()))?.extend(records);
        Ok(())
    }
    async fn span(&self, _: &Topic) -> Result<Span, ReadError> {
        let state = self.state.lock().unwrap();
        match &state.failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(Span {
                oldest: position(state.trimmed),
                end: position(state.records.len() as u64),
            }),
        }
    }
    async fn position_at(&self, _: &Topic, time: Timestamp) -> Result<Position, ReadError> {
        let state = self.state.lock().unwrap();
        match &state.failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(position((state.records.len() as u64).min(time.as_second() as u64))),
        }
    }
    /// At most ten records, a moment later.
    async fn read(&self, _: &Topic, from: &Position, _: ReadLimit) -> Result<Batch, ReadError> {
        tokio::task::yield_now().await;
        let mut state = self.state.lock().unwrap();
        state.reads += 1;
        state.take(from.offset(0))
    }
    async fn trim(&self, _: &Topic, _: &Position) -> Result<Position, ReadError> {
        unreachable!("delivery only follows")
    }
    async fn probe(&self) -> Result<(), Unavailable> {
        unreachable!("delivery only follows")
    }
}

#[async_trait]
impl Follow for Reader {
    async fn next(&mut self) -> Result<Batch, ReadError> {
        let mut changed = self.log.changed.subscribe();
        loop {
            if let Some(batch) = self.take() {
                return batch;
            }
            changed.changed().await.expect("the log is there");
        }
    }
}

impl Reader {
    fn take(&mut self) -> Option<Result<Batch, ReadError>> {
        let batch = self.log.state.lock().unwrap().take(self.next);
        if let Ok(Batch { records, next }) = &batch {
            self.next = next.offset(0);
            if records.is_empty() {
                return None;
            }
        }
        Some(batch)
    }
}

impl State {
    /// At most ten records.
    fn take(&mut self, from: u64) -> Result<Batch, ReadError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        if from < self.trimmed {
            let oldest = position(self.trimmed);
            return Err(ReadError::Trimmed { oldest });
        }
        let there = (from..).zip(&self.records[from as usize..]).take(10);
        let records: Vec<_> = there
            .map(|(offset, (headers, payload))| Record {
                partition: 0,
                offset,
                time: appended(offset),
                headers: headers.clone(),
                payload: payload.clone(),
            })
            .collect();
        self.given += records.len();
        let next = position(from + records.len() as u64);
        Ok(Batch { records, next })
    }
}

/// An id that tells small payloads apart.
fn id_of(payload: &str) -> ByteString {
    let id: String = payload.chars().take(16).collect();
    if id.is_empty() { "1".into() } else { id.into() }
}

/// When a record was appended: one a second, long ago.
pub(crate) fn appended(offset: u64) -> Timestamp {
    Timestamp::from_second(offset as i64).unwrap()
}

pub(crate) fn position(next: u64) -> Position {
    Position::new(Incarnation(1), [(0, next)])
}
