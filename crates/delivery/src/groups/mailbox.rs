//! What is due to one member until its socket takes it.
//!
//! It is there before the connection is: a client is a member before it hears that it is connected. What waits in it is
//! bounded by the member's credit, and shared with the group, which holds it until its receipt.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::{Bytes, BytesMut};
use sockeye_group::MemberId;
use sockeye_ws::frame;
use tokio::time::Instant;

use crate::end::Cause;
use crate::groups::mailboxes;
use crate::groups::owner::Owner;
use crate::session::Closing;

/// Frames on their way to one member, in the order in which the group gave them out.
///
/// (A connection may be a member of several groups: [`Mailboxes`](crate::groups::Mailboxes).)
pub(crate) struct Mailbox {
    owner: Weak<Owner>,
    member: MemberId,
    post: Mutex<Post>,
}

#[derive(Default)]
struct Post {
    due: VecDeque<Mail>,
    /// The connection, once it is open.
    recipient: Option<Weak<dyn Recipient>>,
    /// Which of its groups this is.
    number: u16,
    /// It is no member any more.
    closing: Option<(Cause, Closing)>,
}

/// A frame.
#[derive(Debug)]
pub(crate) enum Mail {
    Event(Bytes),
    /// A Ping with the number of a delivery.
    Ping(u64),
}

/// Frames that go out in one write.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) bytes: Bytes,
    /// How many are events.
    pub(crate) events: u64,
    /// The payload of the Ping that is among them, as the group will want it back.
    pub(crate) asked: Option<u64>,
}

/// The connection of a member. Any thread may call: a socket is written to by whoever has something for it.
pub(crate) trait Recipient: Send + Sync {
    /// Writes what the socket takes now of what is in the mailbox; the rest is left to the connection's task.
    fn flush(&self);

    /// Ends the connection.
    fn expel(&self, cause: Cause, closing: Closing);
}

/// What a connection has to do for its usual Ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeepAlive {
    /// Send any.
    Any,
    /// One with a number is in the mailbox now.
    Posted,
    /// One is not answered yet, which does the same.
    Asked,
}

// ----------------------------------------------------------------------------------------------

impl Mailbox {
    pub(crate) fn new(owner: Weak<Owner>, member: MemberId) -> Self {
        Self {
            owner,
            member,
            post: Mutex::default(),
        }
    }

    /// Puts frames behind those that are there. They go out with [`Mailbox::deliver`].
    pub(crate) fn post(&self, mail: &mut Vec<Mail>) {
        let mut post = self.lock();
        if post.closing.is_none() {
            post.due.extend(mail.drain(..));
        }
        mail.clear();
    }

    /// The member is none any more: what is here is dropped, and its connection ends with [`Mailbox::deliver`].
    pub(crate) fn close(&self, cause: Cause, closing: Closing) {
        let mut post = self.lock();
        post.due = VecDeque::new();
        post.closing.get_or_insert((cause, closing));
    }

    /// The connection is open: what is here is its. To be followed by [`Mailbox::deliver`].
    pub(crate) fn attach(&self, recipient: Weak<dyn Recipient>, number: u16) {
        let mut post = self.lock();
        (post.recipient, post.number) = (Some(recipient), number);
    }

    /// Lets the connection write, or end. Not under the lock of a group or of a socket.
    pub(crate) fn deliver(&self) {
        let (recipient, closing) = {
            let post = self.lock();
            let Some(recipient) = post.recipient.as_ref().and_then(Weak::upgrade) else {
                return;
            };
            (recipient, post.closing.clone())
        };
        match closing {
            Some((cause, closing)) => recipient.expel(cause, closing),
            None => recipient.flush(),
        }
    }

    /// Takes frames of about so many bytes, at least one if there is one.
    pub(crate) fn take(&self, most: usize) -> Option<Parcel> {
        let mut post = self.lock();
        let of = post.number;
        let first = post.due.pop_front()?;
        let mut asked = first.asks();
        let (first, mut events) = first.into_frame(of);
        let mut bytes = first.len();
        let more = post.due.iter().take_while(|mail| {
            bytes += mail.len();
            bytes <= most
        });
        let more = more.count();
        if more == 0 {
            return Some(Parcel {
                bytes: first,
                events,
                asked,
            });
        }
        let mut joined = BytesMut::with_capacity(most.min(bytes));
        joined.extend_from_slice(&first);
        for mail in post.due.drain(..more) {
            asked = mail.asks().or(asked);
            let (frame, event) = mail.into_frame(of);
            joined.extend_from_slice(&frame);
            events += event;
        }
        // After a rush, little is kept for the next.
        if post.due.is_empty() {
            post.due.shrink_to(4);
        }
        Some(Parcel {
            bytes: joined.freeze(),
            events,
            asked,
        })
    }

    /// Asks the group for the connection's usual Ping, so that at most one number is outstanding. The caller may hold the lock
    /// of its socket.
    pub(crate) fn keep_alive(&self, now: Instant) -> KeepAlive {
        let owner = self.owner.upgrade();
        owner.map_or(KeepAlive::Any, |owner| owner.keep_alive(self.member, self, now))
    }

    #[cfg(test)]
    pub(crate) fn number_for_tests(&self, number: u16) {
        self.lock().number = number;
    }

    fn lock(&self) -> MutexGuard<'_, Post> {
        self.post.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mail {
    fn len(&self) -> usize {
        match self {
            Self::Event(frame) => frame.len(),
            Self::Ping(_) => 2 + mailboxes::payload(0, 0).len(),
        }
    }

    /// The number of the delivery whose receipt it asks for.
    fn asks(&self) -> Option<u64> {
        match self {
            Self::Event(_) => None,
            Self::Ping(number) => Some(*number),
        }
    }

    /// The frame for a connection of whose groups this is one, and how many events it is.
    fn into_frame(self, of: u16) -> (Bytes, u64) {
        match self {
            Self::Event(frame) => (frame, 1),
            Self::Ping(number) => (frame::ping(&mailboxes::payload(of, number)), 0),
        }
    }
}

/// Tells once that something is there for a member.
pub(crate) fn deliver_all(mailboxes: Vec<Arc<Mailbox>>) {
    for mailbox in mailboxes {
        mailbox.deliver();
    }
}
