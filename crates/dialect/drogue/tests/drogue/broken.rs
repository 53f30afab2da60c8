//! A log that does not answer as it should.

use async_trait::async_trait;
use jiff::Timestamp;
use sockeye_log::{
    AppendError, Batch, Follow, Log, NewRecord, Position, ReadError, ReadLimit, Retention, Span, Topic, TopicError,
    Unavailable,
};

#[derive(Clone, Copy)]
pub(crate) enum Broken {
    /// Fails at once.
    Away,
    /// Never answers.
    Silent,
}

#[async_trait]
impl Log for Broken {
    async fn span(&self, _: &Topic) -> Result<Span, ReadError> {
        match self {
            Self::Away => Err(Unavailable("a broker is away, at a secret place".to_owned()).into()),
            Self::Silent => std::future::pending().await,
        }
    }
    async fn create_topic(&self, _: &Topic, _: Retention) -> Result<(), TopicError> {
        unreachable!("the end comes first")
    }
    async fn delete_topic(&self, _: &Topic) -> Result<(), TopicError> {
        unreachable!("the end comes first")
    }
    async fn append(&self, _: &Topic, _: Vec<NewRecord>) -> Result<(), AppendError> {
        unreachable!("the end comes first")
    }
    async fn position_at(&self, _: &Topic, _: Timestamp) -> Result<Position, ReadError> {
        unreachable!("the end comes first")
    }
    async fn read(&self, _: &Topic, _: &Position, _: ReadLimit) -> Result<Batch, ReadError> {
        unreachable!("the end comes first")
    }
    async fn follow(&self, _: &Topic, _: &Position) -> Result<Box<dyn Follow>, ReadError> {
        unreachable!("the end comes first")
    }
    async fn trim(&self, _: &Topic, _: &Position) -> Result<Position, ReadError> {
        unreachable!("the end comes first")
    }
    async fn probe(&self) -> Result<(), Unavailable> {
        unreachable!("the end comes first")
    }
}
