//! A connection, as those see it who are not its task: what it is to send, and when it has to end.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use sockeye_limits as limits;
use sockeye_log::Position;
use sockeye_ws::frame;
use tokio::time::Instant;

use crate::end::Cause;
use crate::feed::Last;
use crate::groups::Seat;
use crate::session::{Closing, Encoder};
use crate::subscription::{Subscription, SubscriptionId};
use crate::wheel::{Visited, Wheel};

/// The way to a connection, from any thread. It holds nothing of it: a connection that has ended is gone.
#[derive(Clone)]
pub struct Remote {
    connection: Weak<dyn Directed>,
    wheel: Wheel,
}

/// A subscription that a connection is to have beside its others.
pub struct NewSubscription {
    /// What is wanted. Its `until` means nothing here.
    pub what: Subscription,
    /// Whether its start is the end of the topic, taken just now: then it reads together with the other live subscriptions of
    /// the connection, and gets what is appended from its acknowledgement on. Otherwise it gets all from its start on, by
    /// itself until it has caught up with them.
    pub is_live: bool,
    /// How its events look.
    pub encoder: Arc<dyn Encoder>,
    /// A text message that the client gets before the first event.
    pub acknowledge: Option<String>,
}

/// Why a connection was not told something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoteError {
    /// It has ended, or is about to.
    Gone,
    /// [`sockeye_limits::WS_COMMANDS`] others wait: the client does not read what it is answered.
    Full,
    /// It has [`sockeye_limits::WS_SUBSCRIPTIONS`] already.
    TooMany,
    /// It is a member of [`sockeye_limits::WS_GROUPS`] groups already.
    TooManyGroups,
}

/// What a connection's task is told.
pub(crate) enum Command {
    /// Sends a frame.
    Send(Bytes),
    Subscribe(SubscriptionId, Box<NewSubscription>),
    /// Takes a place in a group, and sends a frame before what that gives.
    Join(SubscriptionId, Seat, Option<Bytes>),
    /// Ends a subscription behind what is still to come of it, or leaves a group, and sends a frame then.
    Unsubscribe(SubscriptionId, Option<Last>, Option<Bytes>),
}

/// When a connection has to end.
#[derive(Debug)]
pub(crate) struct Deadline {
    pub(crate) at: Instant,
    pub(crate) cause: Cause,
    pub(crate) closing: Closing,
}

/// What can be asked of a connection.
pub(crate) trait Directed: Visited {
    /// Tells the task; it is carried out when there is room for an answer.
    fn direct(&self, command: Command) -> Result<(), RemoteError>;

    /// The same, for one more subscription.
    fn subscribe(&self, new: Box<NewSubscription>) -> Result<SubscriptionId, RemoteError>;

    /// The same, for a place in a group, which is given back if there is no room.
    fn join(&self, seat: Seat, acknowledge: Option<Bytes>) -> Result<SubscriptionId, (RemoteError, Seat)>;

    /// Ends the connection, whatever waits.
    fn close(&self, cause: Cause, closing: Closing);

    /// Ends the connection at a time, or at none. When the wheel has to come for that, if it would come later.
    fn close_at(&self, deadline: Option<Deadline>) -> Option<Instant>;
}

// ----------------------------------------------------------------------------------------------

impl Remote {
    pub(crate) fn new(connection: Weak<dyn Directed>, wheel: Wheel) -> Self {
        Self { connection, wheel }
    }

    /// Sends a text message, behind what was asked for before.
    ///
    /// # Errors
    /// See [`RemoteError`].
    pub fn send(&self, text: &str) -> Result<(), RemoteError> {
        self.direct(Command::Send(frame::text(text)))
    }

    /// Begins a subscription. What is asked for before is carried out before, and its acknowledgement is sent before.
    ///
    /// # Errors
    /// See [`RemoteError`]; nothing is acknowledged then.
    pub fn subscribe(&self, new: NewSubscription) -> Result<SubscriptionId, RemoteError> {
        let connection = self.connection.upgrade().ok_or(RemoteError::Gone)?;
        connection.subscribe(Box::new(new))
    }

    /// Lets a connection take a place in a group, beside its subscriptions: it gets what the group gives it, behind `acknowledge`.
    ///
    /// # Errors
    /// See [`RemoteError`]; nothing is acknowledged then, and the place is given back.
    pub fn join(&self, seat: Seat, acknowledge: Option<&str>) -> Result<SubscriptionId, (RemoteError, Seat)> {
        match self.connection.upgrade() {
            Some(connection) => connection.join(seat, acknowledge.map(frame::text)),
            None => Err((RemoteError::Gone, seat)),
        }
    }

    /// Ends a subscription, or leaves a group, if it is there; `acknowledge` is sent behind its last event. A live one gets what is
    /// before `until` first: the end of its topic, for a client that is to have all that is there already. One that reads the past
    /// ends at once, and what the log does not show for [`limits::LAST_EVENTS`] is not waited for.
    ///
    /// # Errors
    /// See [`RemoteError`]: the subscription goes on.
    pub fn unsubscribe(
        &self,
        id: SubscriptionId,
        until: Option<Position>,
        acknowledge: Option<&str>,
    ) -> Result<(), RemoteError> {
        let patience = Instant::now() + limits::LAST_EVENTS;
        let last = until.map(|place| Last { place, patience });
        self.direct(Command::Unsubscribe(id, last, acknowledge.map(frame::text)))
    }

    /// Ends the connection at once; what waits for its client is dropped.
    pub fn close(&self, cause: Cause, closing: Closing) {
        if let Some(connection) = self.connection.upgrade() {
            connection.close(cause, closing);
        }
    }

    /// Ends the connection at this time, up to [`sockeye_limits::WHEEL_TICK`] later: a token expires, for example. A later call
    /// stands for all before it.
    pub fn close_at(&self, at: Instant, cause: Cause, closing: Closing) {
        self.set_deadline(Some(Deadline { at, cause, closing }));
    }

    /// The connection need not end any more, as far as [`Remote::close_at`] goes.
    pub fn keep(&self) {
        self.set_deadline(None);
    }

    fn set_deadline(&self, deadline: Option<Deadline>) {
        if let Some(connection) = self.connection.upgrade()
            && let Some(at) = connection.close_at(deadline)
        {
            let connection: Weak<dyn Visited> = self.connection.clone();
            self.wheel.put(at, connection);
        }
    }

    fn direct(&self, command: Command) -> Result<(), RemoteError> {
        let connection = self.connection.upgrade().ok_or(RemoteError::Gone)?;
        connection.direct(command)
    }
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote").finish_non_exhaustive()
    }
}

impl std::fmt::Display for RemoteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Gone => "the connection has ended",
            Self::Full => "too many answers wait for the client: it has to read them first",
            Self::TooManyGroups => {
                return write!(f, "a connection is a member of at most {} groups", limits::WS_GROUPS);
            }
            Self::TooMany => return write!(f, "a connection has at most {} subscriptions", limits::WS_SUBSCRIPTIONS),
        })
    }
}

impl std::error::Error for RemoteError {}
