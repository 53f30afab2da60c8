//! What a dialect adds to a connection: how events look, and what the client's messages mean.

use std::borrow::Cow;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use jiff::Timestamp;
use sockeye_event::Event;
use sockeye_log::Position;
use sockeye_ws::frame::{self, Opcode};

use crate::remote::Remote;

/// One client's side of a protocol, as a state machine without I/O or clock.
pub trait Session: Send {
    /// The dialect, as it is called in metrics.
    const DIALECT: &'static str;

    /// Whether an event that several subscriptions of a connection want goes to the first of them only, as far as they share
    /// a reading position: one that reads the past gets what it asked for whether or not that has come, and what is appended
    /// until it has caught up may come of it and of those that are live, once each.
    const ONCE: bool = false;

    /// How the events of the subscription look with which the connection begins.
    fn encoder(&self) -> Arc<dyn Encoder>;

    /// The connection is open. Whoever is to end it (because a token expires, a key is revoked), or to tell the client
    /// something, keeps its `remote`.
    fn opened(&mut self, remote: Remote) {
        drop(remote);
    }

    /// Takes a message of the client.
    fn receive(&mut self, message: Message<'_>) -> Verdict;
}

/// How events look: shared by all clients that are to see the same bytes.
pub trait Encoder: Send + Sync {
    /// Encoders of one name give the same bytes for an event of a topic.
    fn name(&self) -> &str;

    /// Appends the event as the payload of one text frame, or nothing if it is not shown. What is in the buffer stays.
    ///
    /// `behind` is the position behind the event: a client that was given it, and what came before it, misses nothing and
    /// sees nothing twice when it reads on from there.
    fn encode(&self, event: &Event, behind: &Position, out: &mut BytesMut);

    /// As [`Encoder::encode`], for who shows the place of the event too.
    fn encode_at(&self, event: &Event, place: Place, behind: &Position, out: &mut BytesMut) {
        let _ = place;
        self.encode(event, behind, out);
    }

    /// How an event looks that was delivered to a member of the group before; `None`: as any.
    fn redelivered(&self) -> Option<Arc<dyn Encoder>> {
        None
    }
}

/// Where an event is in its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The partition.
    pub partition: u32,
    /// Its offset there.
    pub offset: u64,
    /// When it was appended.
    pub time: Timestamp,
}

/// A message of a client, put together if it came in fragments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Of text frames.
    Text(&'a str),
    /// Of binary frames.
    Binary(&'a [u8]),
}

/// What to do about a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing; it is counted.
    Ignore,
    /// Nothing: the session sees to it.
    Taken,
    /// Answer with a text message. While the client takes none, its next messages wait.
    Reply(String),
    /// What it takes some work to tell. Until it is done, which must not take seconds, the client's next messages wait.
    Later(Later),
    /// A member of a group acknowledges the event of this id.
    Ack(ByteString),
    /// A member of a group returns the event of this id.
    Nack(ByteString),
    /// End the connection.
    Close(Closing),
}

/// Work that ends with a verdict. It goes when the connection ends.
pub struct Later(Pin<Box<dyn Future<Output = Verdict> + Send>>);

/// What the client is told at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    /// The close code (RFC 6455 section 7.4).
    pub code: u16,
    /// Why, for people. What is beyond [`sockeye_limits::WS_CLOSE_REASON`] bytes is cut off.
    pub reason: Cow<'static, str>,
}

// ----------------------------------------------------------------------------------------------

/// The event as the frame that all who want the same bytes share; `None` if it is not shown.
pub(crate) fn text_frame(encoder: &dyn Encoder, event: &Event, place: Place, behind: &Position) -> Option<Bytes> {
    frame::message_with(Opcode::Text, |payload| {
        let before = payload.len();
        encoder.encode_at(event, place, behind, payload);
        if payload.len() > before { Ok(()) } else { Err(NotShown) }
    })
    .ok()
}

struct NotShown;

impl Later {
    /// Work to be done for a message.
    pub fn new(work: impl Future<Output = Verdict> + Send + 'static) -> Self {
        Self(Box::pin(work))
    }

    /// Waits for the verdict, if there is work; for ever if there is none.
    pub(crate) async fn done(work: &mut Option<Self>) -> Verdict {
        match work {
            Some(Self(work)) => work.as_mut().await,
            None => std::future::pending().await,
        }
    }
}

/// Nothing is known of a verdict before it is there: it is equal to itself.
impl PartialEq for Later {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Later {}

impl fmt::Debug for Later {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Later")
    }
}

impl Message<'_> {
    /// The bytes, whatever the kind.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

impl Closing {
    /// A code of RFC 6455 section 7.4 and a reason.
    pub fn new(code: u16, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            reason: reason.into(),
        }
    }
}
