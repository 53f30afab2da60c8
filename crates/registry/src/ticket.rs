//! Tickets: each admits whoever shows it first, once, on whichever node that is.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::registry::Unavailable;

/// Tickets, as an engine keeps them: by their hashes, until they are taken or expire.
#[async_trait]
pub trait Tickets: Send + Sync {
    /// Keeps a ticket. On the way some of those that had expired at `now` are forgotten.
    ///
    /// # Errors
    /// [`TicketError::TooMany`] beyond [`sockeye_limits::TICKETS_OF_OWNER`] or [`sockeye_limits::TICKETS`].
    async fn keep_ticket(&self, ticket: Ticket, now: Timestamp) -> Result<(), TicketError>;

    /// Takes the ticket of this hash, by one atomic statement: of all who ask one gets what it admits. `None`: nobody keeps it, it was
    /// taken, or it had expired at `now`.
    async fn take_ticket(&self, hash: &str, now: Timestamp) -> Result<Option<String>, Unavailable>;

    /// What the ticket of this hash admits, which stays; `None` as with [`Tickets::take_ticket`].
    async fn ticket(&self, hash: &str, now: Timestamp) -> Result<Option<String>, Unavailable>;
}

/// A ticket, as it is stored: itself it is known only to who was given it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// SHA3-512 of it, lower-case hex.
    pub hash: String,
    /// Whose it is: no owner takes the place of others.
    pub owner: String,
    /// What it admits, in the words of who made it; the engine only keeps it.
    pub admits: String,
    /// From when on it does not count any more.
    pub expires: Timestamp,
}

/// Why a ticket is not kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// Too many others are kept. They expire soon.
    #[error("too many tickets were fetched and not used: try again when they have expired")]
    TooMany,
    /// Try again later.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}
