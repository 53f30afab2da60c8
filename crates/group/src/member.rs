//! One member: what is under way to it, and which receipt it owes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use sockeye_limits as limits;

use crate::credit::Credit;
use crate::group::Key;

/// A member of a group; no two of one [`Group`](crate::Group) ever have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub(crate) u64);

/// What proves that a member has an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receipts {
    /// The answer to a Ping that carries a delivery number: its WebSocket stack has read everything up to that.
    Pong,
    /// `ack=client`: an `Ack` for each event, within this time (`ack_timeout`).
    Client {
        /// An event that is not acknowledged within it is offered to others.
        time: Duration,
    },
}

/// How events are spread over members. All members of a group have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    /// In turn.
    Any,
    /// `balance=device`: all events of one device go to one member, in order.
    Device,
}

/// A member as an operator sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberView {
    /// Which one.
    pub id: MemberId,
    /// How it gives receipts.
    pub receipts: Receipts,
    /// Events under way to it.
    pub outstanding: usize,
    /// Bytes of them.
    pub bytes: usize,
    /// Events that may be under way to it.
    pub credit: usize,
    /// Whether it can be given an event now.
    pub has_credit: bool,
    /// Number of its newest delivery; 0 if there was none.
    pub delivered: u64,
    /// The delivery number of the Ping that it has not answered.
    pub ping: Option<u64>,
}

#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) receipts: Receipts,
    /// What was delivered and is not receipted, by number.
    pub(crate) out: VecDeque<Delivery>,
    bytes: usize,
    /// Number of the newest delivery.
    pub(crate) last: u64,
    /// The Ping that is not answered: its number, and when it was sent.
    pub(crate) ping: Option<(u64, Instant)>,
    /// When the newest Ping was sent.
    asked: Option<Instant>,
    /// When the group asks it for a receipt.
    pub(crate) ask: Option<Instant>,
    credit: Credit,
    /// When the group's timers look at this member next.
    pub(crate) timer: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivery {
    pub(crate) number: u64,
    pub(crate) key: Key,
    bytes: usize,
    sent: Instant,
}

// ----------------------------------------------------------------------------------------------

impl Receipts {
    /// The time that a receipt has.
    fn time(self) -> Duration {
        match self {
            Self::Pong => limits::GROUP_RECEIPT_TIME,
            Self::Client { time } => time,
        }
    }
}

impl Member {
    pub(crate) fn new(receipts: Receipts) -> Self {
        Self {
            receipts,
            out: VecDeque::new(),
            bytes: 0,
            last: 0,
            ping: None,
            asked: None,
            ask: None,
            credit: Credit::new(receipts.time()),
            timer: None,
        }
    }

    pub(crate) fn has_credit(&mut self) -> bool {
        self.credit.covers(self.out.len(), self.bytes)
    }

    /// Events that may be under way to it.
    pub(crate) fn credit(&self) -> usize {
        self.credit.events()
    }

    /// Gives it an event: the number of the delivery.
    pub(crate) fn deliver(&mut self, key: Key, bytes: usize, now: Instant) -> u64 {
        self.last += 1;
        self.bytes += bytes;
        self.out.push_back(Delivery {
            number: self.last,
            key,
            bytes,
            sent: now,
        });
        self.last
    }

    /// Its stack has read everything up to the number of its Ping: what is receipted by that.
    pub(crate) fn pong(&mut self, now: Instant) -> impl Iterator<Item = Key> {
        let number = self.ping.take().map_or(0, |(number, _)| number);
        let count = self.out.partition_point(|delivery| delivery.number <= number);
        if let Some(first) = self.out.front().filter(|_| count > 0) {
            let took = now.saturating_duration_since(first.sent);
            self.credit.receipted(count, number, took, self.last);
        }
        self.bytes -= self
            .out
            .iter()
            .take(count)
            .map(|delivery| delivery.bytes)
            .sum::<usize>();
        self.out.drain(..count).map(|delivery| delivery.key)
    }

    /// The delivery at this place is receipted.
    pub(crate) fn ack(&mut self, at: usize, now: Instant) -> Option<Key> {
        let delivery = self.withdraw(at)?;
        let took = now.saturating_duration_since(delivery.sent);
        self.credit.receipted(1, delivery.number, took, self.last);
        Some(delivery.key)
    }

    /// The delivery at this place is not under way any more.
    pub(crate) fn withdraw(&mut self, at: usize) -> Option<Delivery> {
        let delivery = self.out.remove(at)?;
        self.bytes -= delivery.bytes;
        Some(delivery)
    }

    /// `ack=client`: takes back the oldest delivery if its time is over.
    pub(crate) fn overdue(&mut self, now: Instant) -> Option<Delivery> {
        let due = self.deadline().filter(|_| self.receipts != Receipts::Pong)?;
        if due > now {
            return None;
        }
        let delivery = self.withdraw(0)?;
        self.credit.receipted(1, delivery.number, Duration::MAX, self.last);
        Some(delivery)
    }

    /// When the receipt that it owes has to be there.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let since = match self.receipts {
            Receipts::Pong => self.ping.map(|(_, sent)| sent),
            Receipts::Client { .. } => self.out.front().map(|first| first.sent),
        };
        Some(since? + self.receipts.time())
    }

    /// When a Ping has to ask for a receipt: with the first delivery since the last one, unless that was a moment ago and much
    /// of the credit is left. An answer costs the server a read of its own, so that one for each event would cost more than
    /// the event.
    pub(crate) fn ask_at(&self) -> Option<Instant> {
        if self.receipts != Receipts::Pong || self.ping.is_some() {
            return None;
        }
        let first = self.out.front()?.sent;
        let rested = self.asked.map(|asked| asked + limits::GROUP_ASK_TIME);
        Some(match rested {
            Some(rested) if !self.credit.is_short(self.out.len(), self.bytes) => rested.max(first),
            _ => first,
        })
    }

    /// A Ping goes out: its number.
    pub(crate) fn asks(&mut self, now: Instant) -> u64 {
        self.ping = Some((self.last, now));
        self.asked = Some(now);
        self.last
    }

    pub(crate) fn view(&self, id: MemberId, has_credit: bool) -> MemberView {
        MemberView {
            id,
            receipts: self.receipts,
            outstanding: self.out.len(),
            bytes: self.bytes,
            credit: self.credit.events(),
            has_credit,
            delivered: self.last,
            ping: self.ping.map(|(number, _)| number),
        }
    }
}
