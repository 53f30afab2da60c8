//! What proves that members have read what they were given, and until when it has to come.

use std::time::Instant;

use super::{Group, Key};
use crate::item::Item;
use crate::member::{MemberId, Receipts};

impl<T: Item> Group<T> {
    /// A member sent a Pong. Whether it was a receipt: under `ack=client` none is, and one that was not asked for is counted.
    pub fn pong(&mut self, id: MemberId, payload: &[u8], now: Instant) -> bool {
        let Some(member) = self.members.get_mut(&id) else {
            return false;
        };
        if member.receipts != Receipts::Pong {
            return false;
        }
        let number = <[u8; 8]>::try_from(payload).ok().map(u64::from_be_bytes);
        if number.is_none() || member.ping.map(|(number, _)| number) != number {
            self.counts.unasked_pongs += 1;
            return false;
        }
        let credit = member.credit();
        let receipted: Vec<Key> = member.pong(now).collect();
        self.credit = self.credit - credit + member.credit();
        for key in receipted {
            self.settle(key, now);
        }
        self.refresh(id);
        self.set_ask(id);
        true
    }

    /// A member under `ack=client` acknowledges the oldest event with this id that is under way to it; whether there is one.
    pub fn ack(&mut self, id: MemberId, event: &str, now: Instant) -> bool {
        let found = self.find(id, event);
        let Some((member, at)) = self.members.get_mut(&id).zip(found) else {
            return false;
        };
        let credit = member.credit();
        let key = member.ack(at, now);
        self.credit = self.credit - credit + member.credit();
        if let Some(key) = key {
            self.settle(key, now);
        }
        self.refresh(id);
        true
    }

    /// A member under `ack=client` returns the oldest event with this id that is under way to it; whether there is one.
    pub fn nack(&mut self, id: MemberId, event: &str) -> bool {
        let found = self.find(id, event);
        let Some((member, at)) = self.members.get_mut(&id).zip(found) else {
            return false;
        };
        if let Some(delivery) = member.withdraw(at) {
            self.counts.nacks += 1;
            self.give_up(id, delivery.key, at);
        }
        true
    }

    /// The place of the oldest delivery of this event among what is under way to a member under `ack=client`.
    fn find(&mut self, id: MemberId, event: &str) -> Option<usize> {
        let member = self.members.get(&id).filter(|member| member.receipts != Receipts::Pong);
        let found = member.and_then(|member| {
            let mut out = member.out.iter();
            out.position(|delivery| self.entries[delivery.key].item.id() == event)
        });
        self.counts.unknown_acks += u64::from(found.is_none());
        found
    }

    /// A connection wants to know whether its peer lives: the number that a Ping has to carry now; `None` if one is not
    /// answered yet, which does the same, or if it is no member that gives receipts by Pongs (any Ping will do then).
    pub fn keep_alive(&mut self, id: MemberId, now: Instant) -> Option<u64> {
        let member = self.members.get_mut(&id)?;
        if member.receipts != Receipts::Pong || member.ping.is_some() {
            return None;
        }
        let number = member.asks(now);
        self.set_timer(id);
        self.set_ask(id);
        Some(number)
    }

    // ------------------------------------------------------------------------------------------ time

    /// Time has passed: receipts may be overdue.
    pub fn tick(&mut self, now: Instant) {
        while let Some((due, id)) = self.timers.first().copied().filter(|(due, _)| *due <= now) {
            self.timers.remove(&(due, id));
            let Some(member) = self.members.get_mut(&id) else {
                continue;
            };
            member.timer = None;
            if member.deadline().is_some_and(|deadline| deadline <= now) {
                self.overdue(id, now);
            }
            self.set_timer(id);
        }
    }

    /// When [`Group::tick`] has to be called, and [`Group::next`] after it, if nothing happens before.
    pub fn deadline(&self) -> Option<Instant> {
        let timer = self.timers.first().map(|(due, _)| *due);
        let ask = self.asks.first().map(|(due, _)| *due);
        let persist = self.persist.due(self.persists_at_once(), self.settings.persist_time);
        timer.into_iter().chain(ask).chain(persist).min()
    }

    fn overdue(&mut self, id: MemberId, now: Instant) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        if member.receipts == Receipts::Pong {
            self.counts.no_receipt += 1;
            self.silent.push_back(id);
            self.leave(id);
            return;
        }
        while let Some(member) = self.members.get_mut(&id) {
            let credit = member.credit();
            let Some(delivery) = member.overdue(now) else {
                break;
            };
            self.credit = self.credit - credit + member.credit();
            self.counts.overdue += 1;
            self.give_up(id, delivery.key, 0);
        }
    }

    pub(super) fn set_timer(&mut self, id: MemberId) {
        if let Some(member) = self.members.get_mut(&id)
            && let Some(deadline) = member.deadline()
            && member.timer.is_none_or(|timer| timer > deadline)
        {
            if let Some(timer) = member.timer.replace(deadline) {
                self.timers.remove(&(timer, id));
            }
            self.timers.insert((deadline, id));
        }
    }

    /// Something changed for a member: when it has to be asked for a receipt.
    pub(super) fn set_ask(&mut self, id: MemberId) {
        if let Some(member) = self.members.get_mut(&id) {
            let ask = member.ask_at();
            if ask != member.ask {
                if let Some(before) = std::mem::replace(&mut member.ask, ask) {
                    self.asks.remove(&(before, id));
                }
                self.asks.extend(ask.map(|at| (at, id)));
            }
        }
    }
}
