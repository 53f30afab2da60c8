//! Delivery out of a log in memory that can be made to fail, to clients over pipes. Time is paused in all tests, so that
//! minutes pass at once; a real engine has threads of its own, which would not wait.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::StreamExt;
use prometheus_client::registry::Registry;
use sockeye_delivery::{
    Closing, Delivery, Encoder, End, Link, MemoryLimits, Message, Metrics, Selection, Session, Subscription, Verdict,
};
use sockeye_event::Event;
use sockeye_log::{Position, Retention, Topic};
use tokio::io::{AsyncReadExt, DuplexStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Received;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use crate::memory::{Memory, appended, position};
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
