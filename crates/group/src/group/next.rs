//! What a group wants done.

use std::time::Instant;

use super::Group;
use crate::item::Item;
use crate::output::{NoReceipt, Output, Ticket};

impl<T: Item> Group<T> {
    /// What has to be done next. To be called until it gives nothing, after anything that happened.
    pub fn next(&mut self, now: Instant) -> Option<Output<T>> {
        if let Some(member) = self.silent.pop_front() {
            let reason = NoReceipt;
            return Some(Output::Close { member, reason });
        }
        if let Some(key) = self.dead.pop_front() {
            let entry = &self.entries[key];
            return Some(Output::DeadLetter {
                ticket: Ticket {
                    key,
                    order: entry.order,
                },
                item: entry.item.clone(),
                failures: entry.failures,
            });
        }
        if self
            .persist
            .is_due(self.persists_at_once(), self.settings.persist_time, now)
        {
            self.persist.ask();
            return Some(Output::Persist(self.ledger.mark()));
        }
        self.deliver(now).or_else(|| self.ping(now))
    }

    fn deliver(&mut self, now: Instant) -> Option<Output<T>> {
        let taken = self.waiting.take(&self.ready, self.turn, &self.entries)?;
        let member = self.members.get_mut(&taken.member)?;
        let entry = &mut self.entries[taken.key];
        let number = member.deliver(taken.key, entry.item.bytes(), now);
        let redelivered = std::mem::replace(&mut entry.delivered, true);
        let item = entry.item.clone();
        self.counts.delivered += 1;
        self.counts.redelivered += u64::from(redelivered);
        if taken.in_turn {
            self.turn = Some(taken.member);
        }
        self.refresh(taken.member);
        self.set_timer(taken.member);
        self.set_ask(taken.member);
        Some(Output::Deliver {
            member: taken.member,
            number,
            item,
            redelivered,
        })
    }

    fn ping(&mut self, now: Instant) -> Option<Output<T>> {
        let (_, id) = self.asks.first().copied().filter(|(due, _)| *due <= now)?;
        let number = self.members.get_mut(&id)?.asks(now);
        self.set_timer(id);
        self.set_ask(id);
        Some(Output::Ping { member: id, number })
    }
}
