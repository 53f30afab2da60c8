//! What several groups have for one connection that is a member of all of them.
//!
//! A Pong proves that the client has read everything before its Ping, of whatever group, and a client may answer only the last
//! of several Pings (RFC 6455 section 5.5.3): so an answer to one counts for all that went out before it.

use std::collections::VecDeque;
use std::sync::Arc;

use sockeye_group::ping_payload;
use tokio::time::Instant;

use crate::groups::mailbox::{KeepAlive, Mailbox, Parcel};

/// The mailboxes of one connection. Almost all connections have at most one.
#[derive(Default)]
pub(crate) struct Mailboxes {
    /// Whose turn is next comes first.
    all: VecDeque<(u16, Arc<Mailbox>)>,
    /// Pings that went out and are not answered: of which group, and their numbers there.
    asked: VecDeque<(u16, u64)>,
    /// Of the next group.
    next: u16,
}

// ----------------------------------------------------------------------------------------------

/// Bits of a payload that are the number of a delivery: a connection has never so many.
const DELIVERY_BITS: u32 = 48;

/// The payload of a Ping of the group with this number on its connection. The only one has the number 0.
pub(crate) fn payload(of: u16, delivery: u64) -> [u8; 8] {
    ping_payload(u64::from(of) << DELIVERY_BITS | delivery)
}

impl Mailboxes {
    /// One more. Its number on this connection.
    pub(crate) fn add(&mut self, mailbox: Arc<Mailbox>) -> u16 {
        let number = self.next;
        self.next = number.wrapping_add(1);
        self.all.push_back((number, mailbox));
        number
    }

    /// The connection is no member of this group any more.
    pub(crate) fn remove(&mut self, number: u16) {
        self.all.retain(|(other, _)| *other != number);
        self.asked.retain(|(other, _)| *other != number);
    }

    /// Frames of about so many bytes of the next group that has some.
    pub(crate) fn take(&mut self, most: usize) -> Option<Parcel> {
        for _ in 0..self.all.len() {
            let (number, mailbox) = &self.all[0];
            let (number, parcel) = (*number, mailbox.take(most));
            self.all.rotate_left(1);
            if let Some(parcel) = parcel {
                self.asked.extend(parcel.asked.map(|asked| (number, asked)));
                return Some(parcel);
            }
        }
        None
    }

    /// Asks the groups for the connection's usual Ping.
    pub(crate) fn keep_alive(&self, now: Instant) -> KeepAlive {
        let any = |answer: &KeepAlive| *answer != KeepAlive::Any;
        let mut answers = self.all.iter().map(|(_, mailbox)| mailbox.keep_alive(now));
        answers.find(any).unwrap_or(KeepAlive::Any)
    }

    /// A Pong came: which deliveries of which groups have arrived. One that answers nothing is the first group's, which counts it.
    pub(crate) fn answered(&mut self, pong: &[u8]) -> Vec<(u16, Vec<u8>)> {
        let answers = |(of, number): &(u16, u64)| payload(*of, *number) == pong;
        match self.asked.iter().position(answers) {
            Some(at) => {
                let answered = self.asked.drain(..=at);
                answered
                    .map(|(of, number)| (of, ping_payload(number).to_vec()))
                    .collect()
            }
            None => self
                .all
                .iter()
                .map(|(of, _)| (*of, pong.to_vec()))
                .min()
                .into_iter()
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;

    use super::*;
    use crate::groups::mailbox::Mail;
    use crate::groups::owner::Owner;
    use sockeye_group::{Balance, Group, Mark, Receipts};
    use sockeye_log::{Incarnation, Position};

    fn mailbox() -> Arc<Mailbox> {
        let mut group = Group::<crate::groups::item::Item>::load(&Mark::at(Position::new(Incarnation(1), [(0, 0)])));
        let member = group.join(Receipts::Pong, Balance::Any).unwrap();
        Arc::new(Mailbox::new(Weak::<Owner>::new(), member))
    }

    #[test]
    fn an_answer_counts_for_all_pings_before_it() {
        let mut mailboxes = Mailboxes::default();
        let boxes: Vec<_> = (0..3).map(|_| mailbox()).collect();
        for (expected, mailbox) in (0..).zip(&boxes) {
            assert_eq!(mailboxes.add(Arc::clone(mailbox)), expected);
            mailbox.number_for_tests(expected);
            mailbox.post(&mut vec![Mail::Event("x".into()), Mail::Ping(7)]);
        }
        let mut sent = Vec::new();
        while let Some(parcel) = mailboxes.take(1_000) {
            assert_eq!((parcel.events, parcel.asked), (1, Some(7)), "groups take turns");
            sent.push(parcel.bytes[parcel.bytes.len() - 8..].to_vec());
        }
        assert_eq!(sent, [payload(0, 7), payload(1, 7), payload(2, 7)].map(Vec::from));
        assert_eq!(sent[0], ping_payload(7), "whoever has one group sees its numbers");
        let receipt = |of| (of, ping_payload(7).to_vec());
        assert_eq!(mailboxes.answered(&sent[1]), [receipt(0), receipt(1)]);
        assert_eq!(
            mailboxes.answered(&sent[0]),
            [(0, sent[0].clone())],
            "it counts for nothing twice"
        );
        mailboxes.remove(2);
        assert_eq!(
            mailboxes.answered(&sent[2]),
            [(0, sent[2].clone())],
            "its group is left"
        );
        mailboxes.remove(0);
        mailboxes.remove(1);
        assert_eq!(mailboxes.answered(b"PING"), []);
    }
}
