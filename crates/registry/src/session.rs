//! Sessions and streams of Octave (compat/octave.md 2, 6.3, decisions 7 and 8).

use async_trait::async_trait;
use jiff::Timestamp;

use crate::{Page, ReadError, WriteError};

/// An admission for several sockets. What the client shows is known only to the client.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// SHA3-512 of its id, lower-case hex.
    pub hash: String,
    /// Prefix of the access key that it was made with.
    pub key: String,
    /// The application whose streams it reads.
    pub application: String,
    /// As the client calls the application: its name, or an alias.
    pub company: String,
    /// When it was made.
    pub created: Timestamp,
    /// From when on it does not count any more, unless it is prolonged.
    pub expires: Timestamp,
}

/// A stream that somebody was told of, or that was made: what its id stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Its application.
    pub application: String,
    /// `s` and 24 hexadecimal digits; unique in the application.
    pub id: String,
    /// The device of which it is; `None`: one that is no device's.
    pub device: Option<String>,
    /// The channel.
    pub channel: String,
    /// For people.
    pub description: String,
    /// How many events reads show at most.
    pub capacity: u32,
    /// When it was made.
    pub created: Timestamp,
    /// Name of the user who made it; empty: it came with its first event.
    pub creator: String,
}

/// What the registry keeps for clients of Octave. Whatever belongs to an application goes with it.
#[async_trait]
pub trait Streams: Send + Sync + 'static {
    /// Stores a session, unless its application has `most` that count at the time it was made; whether it did. Sessions that do
    /// not count any more are removed. [`WriteError::NotFound`]: the application is gone.
    async fn create_session(&self, session: Session, most: usize) -> Result<bool, WriteError>;

    /// The session of this hash, also if it does not count any more.
    async fn session(&self, hash: &str) -> Result<Option<Session>, ReadError>;

    /// Lets sessions count until this time, if that is later than they do; those that are not there are passed over.
    async fn extend_sessions(&self, hashes: &[String], expires: Timestamp) -> Result<(), WriteError>;

    /// Removes a session; whether it was there.
    async fn delete_session(&self, hash: &str) -> Result<bool, WriteError>;

    /// Stores a new stream. [`WriteError::Taken`]: another one has its id, or its device and channel.
    async fn create_stream(&self, stream: Stream) -> Result<(), WriteError>;

    /// The stream of this id.
    async fn stream(&self, application: &str, id: &str) -> Result<Option<Stream>, ReadError>;

    /// The stream of this device and channel.
    async fn stream_of(
        &self,
        application: &str,
        device: Option<&str>,
        channel: &str,
    ) -> Result<Option<Stream>, ReadError>;

    /// Streams of an application, by device and channel; those of no device first.
    async fn streams(&self, application: &str, page: Page) -> Result<Vec<Stream>, ReadError>;

    /// Removes a stream; whether it was there.
    async fn delete_stream(&self, application: &str, id: &str) -> Result<bool, WriteError>;

    /// Lets an application be called so too. [`WriteError::Taken`]: another one is; for the same one nothing changes.
    async fn create_alias(&self, alias: &str, application: &str) -> Result<(), WriteError>;

    /// The application that is called so too.
    async fn alias(&self, alias: &str) -> Result<Option<String>, ReadError>;
}

// ----------------------------------------------------------------------------------------------

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("key", &self.key)
            .field("application", &self.application)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}
