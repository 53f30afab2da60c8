//! What members have proven, returned, or not said in time.

use std::time::Instant;

use sockeye_group::{Balance, Item as _, MemberId, Receipts, ping_payload};

use super::Model;

impl Model {
    /// Whether this is a receipt, and what comes of it.
    pub(crate) fn pong(&mut self, id: MemberId, payload: &[u8]) -> bool {
        let Some(mirror) = self.members.get_mut(&id) else {
            return false;
        };
        if mirror.receipts != Receipts::Pong {
            return false;
        }
        match mirror.ping {
            Some((number, _)) if payload == ping_payload(number) => {
                mirror.ping = None;
                let count = mirror.out.iter().take_while(|(other, ..)| *other <= number).count();
                let receipted: Vec<_> = mirror.out.drain(..count).collect();
                for (_, event, _) in receipted {
                    self.receipted(event);
                }
                true
            }
            _ => {
                self.counts.unasked_pongs += 1;
                self.tally.unasked_pongs += 1;
                false
            }
        }
    }

    pub(crate) fn ack(&mut self, id: MemberId, event: &str) -> bool {
        let Some(found) = self.take_oldest(id, event) else {
            return false;
        };
        self.receipted(found.1);
        true
    }

    pub(crate) fn nack(&mut self, id: MemberId, event: &str) -> bool {
        let Some((number, event)) = self.take_oldest(id, event) else {
            return false;
        };
        self.counts.nacks += 1;
        self.tally.nacks += 1;
        self.gave_up(id, number, event);
        true
    }

    fn take_oldest(&mut self, id: MemberId, event: &str) -> Option<(u64, usize)> {
        let states = &self.states;
        let found = self.members.get_mut(&id).and_then(|mirror| {
            let mut out = mirror.out.iter();
            let at = out.position(|(_, number, _)| states[*number].event.id() == event);
            let at = at.filter(|_| mirror.receipts != Receipts::Pong)?;
            let (number, event, _) = mirror.out.remove(at);
            Some((number, event))
        });
        self.counts.unknown_acks += u64::from(found.is_none());
        self.tally.unknown_acks += u64::from(found.is_none());
        found
    }

    fn receipted(&mut self, number: usize) {
        let state = &mut self.states[number];
        assert!(state.open && !state.dying);
        state.holder = None;
        state.proven = true;
        self.close(number);
        self.counts.receipted += 1;
        self.tally.receipted += 1;
    }

    pub(super) fn close(&mut self, number: usize) {
        let state = &mut self.states[number];
        state.open = false;
        state.done = true;
        self.open.remove(&number);
        self.receipted += 1;
    }

    /// A delivery failed at a member: under `balance=device` what followed it comes back as well.
    fn gave_up(&mut self, id: MemberId, number: u64, event: usize) {
        self.states[event].holder = None;
        if self.balance == Balance::Device {
            let device = self.states[event].event.device.clone();
            let mirror = self.members.get_mut(&id).unwrap();
            let states = &mut self.states;
            mirror.out.retain(|(other, event, _)| {
                let back = *other > number && states[*event].event.device == device;
                if back {
                    states[*event].holder = None;
                }
                !back
            });
        }
        self.changes += 2;
        self.failed(event, Some(id));
        let device = &self.states[event].event.device;
        if self
            .open()
            .any(|other| other.event.device == *device && other.holder.is_some())
        {
            // It has to stay where what came before it is.
            self.states[event].failed_at = u64::MAX;
        }
    }

    pub(super) fn failed(&mut self, event: usize, avoid: Option<MemberId>) {
        let state = &mut self.states[event];
        state.failures += 1;
        state.failed_at = self.changes;
        state.avoid = avoid;
        state.dying = state.failures >= self.settings.failures;
    }

    /// Time is this now: what is overdue.
    pub(crate) fn tick(&mut self, now: Instant) {
        let mut overdue: Vec<MemberId> = self
            .members
            .iter()
            .filter(|(_, mirror)| mirror.deadline().is_some_and(|deadline| deadline <= now))
            .map(|(id, _)| *id)
            .collect();
        // Who is closed last: with other members, what failed may go anywhere.
        overdue.sort_by_key(|id| self.members[id].receipts == Receipts::Pong);
        for id in overdue {
            if self.members[&id].receipts == Receipts::Pong {
                self.counts.no_receipt += 1;
                self.tally.no_receipt += 1;
                self.left(id);
                continue;
            }
            while self.members[&id].deadline().is_some_and(|deadline| deadline <= now) {
                let (number, event, _) = self.members.get_mut(&id).unwrap().out.remove(0);
                self.counts.overdue += 1;
                self.tally.overdue += 1;
                self.gave_up(id, number, event);
            }
        }
    }
}
