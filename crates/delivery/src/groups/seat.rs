//! A client's place in a group.

use std::fmt;
use std::sync::{Arc, Weak};

use sockeye_group::MemberId;
use sockeye_log::GroupId;

use crate::groups::mailbox::{Mailbox, Recipient};
use crate::groups::owner::Owner;

/// A client is a member of a group for as long as it has this: from before it hears that it is connected to the end of its
/// connection.
pub struct Seat {
    owner: Arc<Owner>,
    member: MemberId,
    mailbox: Arc<Mailbox>,
}

// ----------------------------------------------------------------------------------------------

impl Seat {
    pub(crate) fn new(owner: Arc<Owner>, member: MemberId, mailbox: Arc<Mailbox>) -> Self {
        Self { owner, member, mailbox }
    }

    /// The group.
    pub fn group(&self) -> &GroupId {
        self.owner.id()
    }

    /// What is due to the member.
    pub(crate) fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }

    /// The connection is open: what the group has given out meanwhile goes to it.
    pub(crate) fn attach(&self, recipient: Weak<dyn Recipient>, number: u16) {
        self.mailbox.attach(recipient, number);
        self.mailbox.deliver();
    }

    /// A Pong came.
    pub(crate) fn pong(&self, payload: &[u8]) {
        self.owner.pong(self.member, payload);
    }

    /// An event is acknowledged, by its id.
    pub(crate) fn ack(&self, event: &str) {
        self.owner.ack(self.member, event);
    }

    /// An event is returned, by its id.
    pub(crate) fn nack(&self, event: &str) {
        self.owner.nack(self.member, event);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.owner.leave(self.member);
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat")
            .field("group", self.group())
            .field("member", &self.member)
            .finish_non_exhaustive()
    }
}
