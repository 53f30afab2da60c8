//! Why PostgreSQL did not do what was asked, in words for whoever runs the server.

use deadpool_postgres::{PoolError, TimeoutType};
use sockeye_registry::WriteError;
use tokio_postgres::error::SqlState;

/// An operation that was not done, or of which nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// Too much is asked already.
    #[error("too many calls are waiting")]
    Busy,
    /// The engine was closed.
    #[error("the connection was closed")]
    Closed,
    /// No answer in time; a change may have been made.
    #[error("PostgreSQL does not answer")]
    Silent,
    /// A text that PostgreSQL cannot hold (U+0000): nothing there has such a name.
    #[error("PostgreSQL cannot store a text with the character U+0000")]
    Unstorable,
    /// PostgreSQL or the network refused.
    #[error("{0}")]
    Refused(String),
}

/// Why a change was not stored.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// What the caller of the registry is told.
    Rule(WriteError),
    /// Not the caller's doing.
    Failure(Failure),
}

// ----------------------------------------------------------------------------------------------

/// The whole of what PostgreSQL or the network says, in one line.
pub(crate) fn words(error: &tokio_postgres::Error) -> String {
    if let Some(error) = error.as_db_error() {
        return error.message().to_owned();
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.code() {
            Some(&SqlState::CHARACTER_NOT_IN_REPERTOIRE) => Self::Unstorable,
            Some(&SqlState::QUERY_CANCELED) => Self::Silent,
            _ => Self::Refused(words(&error)),
        }
    }
}

impl From<PoolError> for Failure {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Timeout(TimeoutType::Wait) => Self::Busy,
            PoolError::Timeout(_) => Self::Silent,
            PoolError::Closed => Self::Closed,
            PoolError::Backend(error) => error.into(),
            other => Self::Refused(other.to_string()),
        }
    }
}

impl From<Failure> for sockeye_log::GroupError {
    fn from(failure: Failure) -> Self {
        Self::Unavailable(sockeye_log::Unavailable(failure.to_string()))
    }
}

impl From<Failure> for sockeye_registry::Unavailable {
    fn from(failure: Failure) -> Self {
        Self(failure.to_string())
    }
}

impl From<Failure> for WriteError {
    fn from(failure: Failure) -> Self {
        Self::Unavailable(failure.into())
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<WriteError> for Refusal {
    fn from(error: WriteError) -> Self {
        Self::Rule(error)
    }
}
