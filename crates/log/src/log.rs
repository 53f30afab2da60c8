//! What an engine offers.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use sockeye_limits as limits;

use crate::{Batch, GroupId, NewRecord, Position, Span, Topic};

/// A durable log of many topics.
///
/// All futures may be dropped at any time: what they had asked of the engine either happens whole or not at all.
#[async_trait]
pub trait Log: Send + Sync + 'static {
    /// Makes a topic, or sets the retention of one that is there. A topic that was deleted and is made again is empty and
    /// has another incarnation. Where others may have made a topic (Kafka), one that is not this engine's stays as it is.
    async fn create_topic(&self, topic: &Topic, retention: Retention) -> Result<(), TopicError>;

    /// Removes a topic and its records; one that is not there is no error. Where others may have made it (Kafka), it stays.
    async fn delete_topic(&self, topic: &Topic) -> Result<(), TopicError>;

    /// Sees to it that an application that is made now does not have what is others': removes what a namesake that was deleted
    /// has left. Where that cannot be told from what is still wanted (Kafka), nothing is removed: it is an error that there is
    /// something, unless the application is to `adopt` it.
    async fn claim_topic(&self, topic: &Topic, adopt: bool) -> Result<(), TopicError> {
        let _ = adopt;
        self.delete_topic(topic).await
    }

    /// Appends all of `records` or none, in this order. Returns when they are durable: on disk, or acknowledged by all
    /// in-sync replicas.
    async fn append(&self, topic: &Topic, records: Vec<NewRecord>) -> Result<(), AppendError>;

    /// What the topic holds now: whatever was appended (and answered) before the call is before `end`.
    async fn span(&self, topic: &Topic) -> Result<Span, ReadError>;

    /// The position of the first record that was appended at `time` or later; the end if there is none.
    async fn position_at(&self, topic: &Topic, time: Timestamp) -> Result<Position, ReadError>;

    /// The records that follow `from`, up to `limit`; empty at the end. At least one if there is one, whatever its size.
    async fn read(&self, topic: &Topic, from: &Position, limit: ReadLimit) -> Result<Batch, ReadError>;

    /// Reads from `from` on without end, waiting for what is appended: gapless, without polling.
    async fn follow(&self, topic: &Topic, from: &Position) -> Result<Box<dyn Follow>, ReadError>;

    /// Removes what is before `before` and gives the oldest position that is left (an engine may keep more).
    async fn trim(&self, topic: &Topic, before: &Position) -> Result<Position, ReadError>;

    /// Shows how far a group is to who looks with the log's own tools. A log that has none (all but Kafka) does nothing.
    async fn mirror_group(&self, group: &GroupId, position: &Position) -> Result<(), Unavailable> {
        let _ = (group, position);
        Ok(())
    }

    /// How far a group is by the log's own tools, in what the log holds now: nobody here has to have heard of it before.
    async fn mirrored_group(&self, group: &GroupId, span: &Span) -> Result<Option<Position>, Unavailable> {
        let _ = (group, span);
        Ok(None)
    }

    /// Lets the log's own tools forget a group; one that they do not know is no error.
    async fn forget_group(&self, group: &GroupId) -> Result<(), Unavailable> {
        let _ = group;
        Ok(())
    }

    /// Whether the engine answers now: at most [`limits::ENGINE_PROBE`].
    async fn probe(&self) -> Result<(), Unavailable>;
}

/// One reader that follows a topic. It holds a bounded amount of what was appended; one that falls behind goes on from
/// storage, and loses nothing that retention keeps.
#[async_trait]
pub trait Follow: Send {
    /// The next records; waits for them. None if only the place has moved on, over what is no record (the ends of Kafka's
    /// transactions): sooner or later it is at or behind every end that [`Log::span`] gave. May be dropped and called again
    /// without loss. After an error it gives nothing more: follow anew, from the `next` of its last batch.
    async fn next(&mut self) -> Result<Batch, ReadError>;
}

/// How much one [`Log::read`] may give.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimit {
    /// Records at most; at least 1.
    pub records: usize,
    /// Bytes of headers and payloads at most, the first record excepted.
    pub bytes: usize,
}

/// How long a topic keeps its records: until they are older than `age` or beyond `bytes`, whichever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// By append time.
    pub age: Duration,
    /// By size of headers and payloads, oldest first.
    pub bytes: u64,
}

/// The engine cannot be reached or cannot store; it may be able to later.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

/// Why a topic was not made or removed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// There is one already, with this name where it is.
    #[error("there is a topic `{0}` already, whose events are not this application's")]
    Found(String),
    /// Try again later.
    #[error("the log is not available: {0}")]
    Unavailable(#[from] Unavailable),
}

/// Why the records of a call are not known to be appended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// There is no such topic.
    #[error("there is no topic `{0}`")]
    NoTopic(Topic),
    /// The queue to the writer is full ([`limits::APPEND_QUEUE_BYTES_PER_TOPIC`] and its siblings); try again shortly.
    #[error("the log is busy")]
    Busy,
    /// Not stored, as far as is known: the disk is full, the broker is away. Try again later. Who was asked and vanished may
    /// have stored them all the same, all of them: a second try may append them twice.
    #[error("the log is not available: {0}")]
    Unavailable(#[from] Unavailable),
}

/// Why nothing can be read from there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// There is no such topic, or no longer.
    #[error("there is no topic `{0}`")]
    NoTopic(Topic),
    /// Retention has removed what follows the position.
    #[error("the events at this position are gone; the oldest position is {oldest}")]
    Trimmed {
        /// Where reading can start.
        oldest: Position,
    },
    /// The position belongs to a topic that was deleted or restored since.
    #[error("the position belongs to another incarnation of the log; the oldest position is {oldest}")]
    OtherIncarnation {
        /// Where reading can start.
        oldest: Position,
    },
    /// The position is beyond the end.
    #[error("the position is beyond the end of the log, which is {end}")]
    BeyondEnd {
        /// The end.
        end: Position,
    },
    /// Try again later.
    #[error("the log is not available: {0}")]
    Unavailable(#[from] Unavailable),
}

// ----------------------------------------------------------------------------------------------

impl Default for ReadLimit {
    fn default() -> Self {
        Self {
            records: limits::READ_RECORDS,
            bytes: limits::READ_BYTES,
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            age: limits::RETAIN_AGE,
            bytes: limits::RETAIN_BYTES,
        }
    }
}
