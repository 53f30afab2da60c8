//! Delivery out of a log in memory that can be made to fail, to clients over pipes. Time is paused in all tests, so that
//! minutes pass at once; a real engine has threads of its own, which would not wait.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::BytesMut;
use bytestring::ByteString;
use futures_util::StreamExt;
use jiff::Timestamp;
use prometheus_client::registry::Registry;
use sockeye_delivery::{
    Closing, Delivery, Encoder, End, Link, MemoryLimits, Message, Metrics, Selection, Session, Subscription, Verdict,
};
use sockeye_event::{Event, Headers, binary};
use sockeye_log::{
    AppendError, Batch, Content, Follow, Incarnation, Log, NewRecord, Position, ReadError, ReadLimit, Record,
    Retention, Span, Topic, TopicError, Unavailable,
};
use tokio::io::{AsyncReadExt, DuplexStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Received;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::positions::Positions;

pub(crate) const TEXT: u8 = 1;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

pub(crate) type Client = WebSocketStream<DuplexStream>;

pub(crate) struct World {
    pub(crate) log: Memory,
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) stop: CancellationToken,
    pub(crate) positions: Positions,
    pub(crate) tasks: TaskTracker,
    registry: Registry,
}

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

/// A dialect whose frames are the payloads as they are.
pub(crate) struct Plain;

pub(crate) struct PlainFrames;

// ----------------------------------------------------------------------------------------------

impl World {
    pub(crate) fn new() -> Self {
        Self::with(MemoryLimits::default())
    }

    /// With so much memory for events.
    pub(crate) fn with(limits: MemoryLimits) -> Self {
        Self::over(Memory::default(), Positions::default(), limits)
    }

    /// A server over what another one may have left.
    pub(crate) fn over(log: Memory, positions: Positions, limits: MemoryLimits) -> Self {
        let (metrics, stop) = (Metrics::default(), CancellationToken::new());
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let tasks = TaskTracker::new();
        let delivery = Delivery::new(Arc::new(log.clone()), metrics, tasks.clone(), stop.clone());
        let delivery = delivery.with_groups(Arc::new(positions.clone()), Retention::default());
        let delivery = Arc::new(delivery.with_memory(limits));
        delivery.register_groups(&mut registry);
        Self {
            log,
            delivery,
            stop,
            positions,
            tasks,
            registry,
        }
    }

    /// Connects a client that reads everything from the beginning of the log, over a pipe of this many bytes.
    pub(crate) fn connect(&self, pipe: usize) -> (DuplexStream, JoinHandle<End>) {
        self.connect_with(pipe, Selection::default(), |io| io)
    }

    /// As [`World::connect`], with a selection and something around the server's end.
    pub(crate) fn connect_with<IO>(
        &self,
        pipe: usize,
        selection: Selection,
        around: impl FnOnce(DuplexStream) -> IO,
    ) -> (DuplexStream, JoinHandle<End>)
    where
        IO: Link,
    {
        self.open(pipe, subscription(selection), around)
    }

    /// Connects a client with this subscription.
    pub(crate) fn open<IO>(
        &self,
        pipe: usize,
        subscription: Subscription,
        around: impl FnOnce(DuplexStream) -> IO,
    ) -> (DuplexStream, JoinHandle<End>)
    where
        IO: Link,
    {
        let (client, server) = tokio::io::duplex(pipe);
        (client, self.serve(around(server), subscription))
    }

    /// Serves this end of a connection.
    pub(crate) fn serve(&self, io: impl Link, subscription: Subscription) -> JoinHandle<End> {
        self.serve_with(io, subscription, false)
    }

    /// The same, with or without permessage-deflate.
    pub(crate) fn serve_with(&self, io: impl Link, subscription: Subscription, deflate: bool) -> JoinHandle<End> {
        let delivery = self.delivery.clone();
        tokio::spawn(async move { delivery.serve(io, subscription, Plain, deflate).await })
    }

    /// Connects the independent client.
    pub(crate) async fn client(&self) -> (Client, JoinHandle<End>) {
        self.client_of(subscription(Selection::default())).await
    }

    /// Connects the independent client with this subscription.
    pub(crate) async fn client_of(&self, subscription: Subscription) -> (Client, JoinHandle<End>) {
        let (client, end) = self.open(1 << 16, subscription, |io| io);
        (WebSocketStream::from_raw_socket(client, Role::Client, None).await, end)
    }

    /// All metrics, as they are shown.
    pub(crate) fn metrics(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }

    /// A metric, by the beginning of its line.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let text = self.metrics();
        let lines = text.lines().filter_map(|line| line.strip_prefix(name));
        lines
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum()
    }
}

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
        assert_eq!(topic.content(), Content::DeadLetters, "delivery makes no other");
        self.state.lock().unwrap().dead.get_or_insert_default();
        Ok(())
    }
    async fn delete_topic(&self, _: &Topic) -> Result<(), TopicError> {
        unreachable!("delivery only follows")
    }
    async fn append(&self, topic: &Topic, records: Vec<NewRecord>) -> Result<(), AppendError> {
        assert_eq!(topic.content(), Content::DeadLetters, "delivery follows the others");
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

impl Encoder for PlainFrames {
    fn name(&self) -> &'static str {
        "plain"
    }

    fn encode(&self, event: &Event, _behind: &Position, out: &mut BytesMut) {
        out.extend_from_slice(event.data.as_deref().unwrap_or_default());
    }
}

impl Session for Plain {
    const DIALECT: &'static str = "plain";

    fn encoder(&self) -> Arc<dyn Encoder> {
        Arc::new(PlainFrames)
    }

    fn receive(&mut self, message: Message<'_>) -> Verdict {
        match message {
            Message::Text(text) if text.starts_with("bye") => Verdict::Close(Closing::new(4000, text.to_owned())),
            Message::Text(text) if text.starts_with("ack ") => Verdict::Ack(text[4..].into()),
            Message::Text(text) if text.starts_with("nack ") => Verdict::Nack(text[5..].into()),
            _ => Verdict::Ignore,
        }
    }
}

pub(crate) fn topic() -> Topic {
    Topic::events_of("app")
}

/// Everything from the beginning, of what is selected.
pub(crate) fn subscription(selection: Selection) -> Subscription {
    Subscription {
        topic: topic(),
        selection,
        start: position(0),
        end: position(0),
        what_is_left: false,
        until: None,
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

/// `0`, `1`, ..
pub(crate) fn numbers(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|number| number.to_string())
}

/// The next message that is no ping.
pub(crate) async fn next(client: &mut Client) -> Received {
    let message = async {
        loop {
            match client
                .next()
                .await
                .expect("the stream goes on")
                .expect("it is well-formed")
            {
                Received::Ping(_) => {}
                message => return message,
            }
        }
    };
    timeout(Duration::from_hours(1), message)
        .await
        .expect("a message comes")
}

/// The next messages are these numbers.
pub(crate) async fn expect(client: &mut Client, numbers: std::ops::Range<usize>) {
    for number in numbers {
        assert_eq!(next(client).await, Received::text(number.to_string()));
    }
}

/// The next message is a close frame: its code and reason.
pub(crate) async fn closed(client: &mut Client) -> (u16, String) {
    match next(client).await {
        Received::Close(Some(close)) => (close.code.into(), close.reason.to_string()),
        other => panic!("not closed: {other:?}"),
    }
}

/// A frame of a client: masked, with a mask of zeros.
pub(crate) fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    assert!(payload.len() < 126);
    let mut frame = vec![0x80 | opcode, 0x80 | payload.len() as u8, 0, 0, 0, 0];
    frame.extend_from_slice(payload);
    frame
}

/// Takes the whole frames of a server from the beginning of `bytes`: opcode and payload.
pub(crate) fn frames(bytes: &mut Vec<u8>) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [first, second, rest @ ..] = bytes.as_slice() {
        assert_eq!(first & 0xf0, 0x80, "a frame is whole, without extensions");
        let (header, length) = match second {
            126 if rest.len() >= 2 => (4, u64::from(u16::from_be_bytes([rest[0], rest[1]]))),
            127 if rest.len() >= 8 => (10, u64::from_be_bytes(rest[..8].try_into().unwrap())),
            126 | 127 => break,
            short => (2, u64::from(*short)),
        };
        let end = header + length as usize;
        if bytes.len() < end {
            break;
        }
        frames.push((first & 0x0f, bytes[header..end].to_vec()));
        bytes.drain(..end);
    }
    frames
}

/// Reads frames until the server ends the connection.
pub(crate) async fn read_to_end(io: &mut DuplexStream) -> Vec<(u8, Vec<u8>)> {
    let mut bytes = Vec::new();
    io.read_to_end(&mut bytes).await.unwrap();
    let frames = frames(&mut bytes);
    assert!(bytes.is_empty(), "the last frame is whole");
    frames
}
