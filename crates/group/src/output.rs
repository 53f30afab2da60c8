//! What a group wants done.

use std::fmt;

use sockeye_limits as limits;

use crate::group::Key;
use crate::mark::Mark;
use crate::member::MemberId;

/// Something that the owner of a group has to do; see the table in [the crate's documentation](crate).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output<T> {
    /// Send this event to this member.
    Deliver {
        /// To whom.
        member: MemberId,
        /// The number of the delivery on this connection, from 1 on.
        number: u64,
        /// The event.
        item: T,
        /// Whether it was delivered before, by this owner of the group.
        redelivered: bool,
    },
    /// Send this member a Ping with [`ping_payload`] of this number, behind everything that was delivered to it.
    Ping {
        /// To whom.
        member: MemberId,
        /// What its answer will be a receipt for.
        number: u64,
    },
    /// Close the connection of this member with 1008 and this reason. It is no member any more.
    Close {
        /// Whose.
        member: MemberId,
        /// Why.
        reason: NoReceipt,
    },
    /// Store this, then call [`Group::persisted`](crate::Group::persisted). There is one at a time.
    Persist(Mark),
    /// Append this event to the application's dead letters, then call
    /// [`Group::dead_lettered`](crate::Group::dead_lettered). The position does not move past it before.
    DeadLetter {
        /// To be handed back.
        ticket: Ticket,
        /// The event.
        item: T,
        /// How many deliveries of it failed.
        failures: u32,
    },
}

/// A member gave no receipt in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoReceipt;

/// A dead letter that is being stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub(crate) key: Key,
    pub(crate) order: u64,
}

// ----------------------------------------------------------------------------------------------

impl NoReceipt {
    /// The close code: policy violation (RFC 6455 section 7.4.1).
    pub const CODE: u16 = 1008;
}

impl fmt::Display for NoReceipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = limits::GROUP_RECEIPT_TIME.as_secs();
        write!(
            f,
            "no receipt for {seconds} s: a group's Pings must be answered, or ask for `ack=client` and send Acks"
        )
    }
}

/// The payload of a Ping that carries a delivery number.
pub fn ping_payload(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_names_the_remedy_and_fits() {
        let reason = NoReceipt.to_string();
        assert!(reason.contains("ack=client"));
        assert!(reason.len() <= limits::WS_CLOSE_REASON, "{}", reason.len());
    }
}
