//! Why an operation of the file failed, in words for whoever runs the server.

use rusqlite::ErrorCode;

/// An operation that was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// The queue to the writer is full.
    #[error("too many changes are waiting")]
    Busy,
    /// The engine was closed.
    #[error("the file was closed")]
    Closed,
    /// SQLite or the disk refused.
    #[error("{0}")]
    Storage(String),
}

// ----------------------------------------------------------------------------------------------

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        let remedy = match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => "the disk is full, or the file has reached its size limit: make room",
            Some(ErrorCode::ReadOnly) => "the file cannot be written: check its permissions and the mount",
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                "the file is damaged: restore a backup (`sockeye restore`)"
            }
            Some(ErrorCode::SystemIoFailure) => "the disk reports an error",
            _ => "SQLite refused",
        };
        Self::Storage(format!("{remedy} ({error})"))
    }
}

impl From<Failure> for sockeye_log::Unavailable {
    fn from(failure: Failure) -> Self {
        Self(failure.to_string())
    }
}

impl From<Failure> for sockeye_registry::Unavailable {
    fn from(failure: Failure) -> Self {
        Self(failure.to_string())
    }
}

impl From<Failure> for sockeye_log::AppendError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Busy => Self::Busy,
            other => Self::Unavailable(other.into()),
        }
    }
}

impl From<Failure> for sockeye_log::ReadError {
    fn from(failure: Failure) -> Self {
        Self::Unavailable(failure.into())
    }
}
