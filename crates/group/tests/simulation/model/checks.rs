//! The group is what the model says.

use std::collections::BTreeMap;
use std::time::Instant;

use sockeye_group::{Balance, Group, Item as _, Mark, Receipts};
use sockeye_limits as limits;

use super::{Mirror, Model};
use crate::log::Event;

impl Model {
    /// Something has happened: the group is what it has to be.
    pub(crate) fn check(&mut self, group: &Group<Event>) {
        assert_eq!(group.counts(), self.counts);
        assert_eq!(group.open(), self.open.len());
        let waiting = self.open().filter(|s| s.holder.is_none() && !s.dying).count();
        assert_eq!(group.waiting(), waiting);
        assert_eq!(group.members().count(), self.members.len());
        for view in group.members() {
            let mirror = self.members.get_mut(&view.id).expect("a member");
            assert_eq!(view.outstanding, mirror.out.len());
            assert_eq!(view.delivered, mirror.last);
            assert_eq!(view.ping, mirror.ping.map(|(number, _)| number));
            let bytes: usize = mirror
                .out
                .iter()
                .map(|(_, number, _)| self.states[*number].event.bytes())
                .sum();
            assert_eq!(view.bytes, bytes);
            assert!((1..=limits::GROUP_CREDIT).contains(&view.credit));
            let credit_bytes = view.credit * limits::GROUP_CREDIT_BYTES_PER_EVENT;
            let has_credit = view.outstanding < view.credit && view.bytes < credit_bytes;
            match self.balance {
                Balance::Any => assert_eq!(view.has_credit, has_credit, "{view:?}"),
                Balance::Device => assert!(!view.has_credit || has_credit, "{view:?}"),
            }
            if view.has_credit {
                mirror.credit_since.get_or_insert(self.turns);
            } else {
                mirror.credit_since = None;
            }
        }
        if let Some(due) = self.members.values().filter_map(Mirror::deadline).min() {
            assert!(
                group.deadline().is_some_and(|deadline| deadline <= due),
                "nobody is woken"
            );
        }
    }

    /// The group has nothing more to do: nothing waits that somebody could take, and who owes a receipt is asked.
    pub(crate) fn check_rest(&self, group: &Group<Event>, now: Instant) {
        let stuck = group.waiting() > 0 && group.members().any(|view| view.has_credit);
        assert!(!stuck, "events wait, and a member has credit");
        for view in group.members() {
            let (id, mirror) = (view.id, &self.members[&view.id]);
            let asked = mirror.receipts != Receipts::Pong || mirror.out.is_empty() || mirror.ping.is_some();
            if !asked {
                let part = limits::GROUP_ASK_PART;
                let credit_bytes = view.credit * limits::GROUP_CREDIT_BYTES_PER_EVENT;
                let is_short = view.outstanding * part >= view.credit || view.bytes * part >= credit_bytes;
                assert!(!is_short, "{id:?} runs out of credit and is not asked for a receipt");
                let due = mirror.asked.expect("the first delivery asks") + limits::GROUP_ASK_TIME;
                assert!(due > now, "{id:?} is not asked for a receipt");
                assert!(
                    group.deadline().is_some_and(|deadline| deadline <= due),
                    "nobody is woken to ask"
                );
            }
            assert!(mirror.deadline().is_none_or(|due| due > now), "{id:?} is overdue");
        }
        if self.balance == Balance::Device {
            self.check_devices(group);
        }
    }

    /// What waits for a member waits because that has no credit.
    fn check_devices(&self, group: &Group<Event>) {
        let credit: BTreeMap<_, _> = group
            .members()
            .map(|view| {
                let bytes = view.credit * limits::GROUP_CREDIT_BYTES_PER_EVENT;
                (view.id, view.outstanding < view.credit && view.bytes < bytes)
            })
            .collect();
        for state in self.open().filter(|s| s.holder.is_none() && !s.dying) {
            let device: Vec<_> = self.open().filter(|s| s.event.device == state.event.device).collect();
            if device.iter().any(|other| other.dying) {
                continue;
            }
            match device.iter().find_map(|other| other.holder) {
                Some(holder) => assert!(!credit[&holder], "{:?} waits, {holder:?} has credit", state.event),
                None => assert!(
                    credit.is_empty() || credit.values().any(|credit| !credit),
                    "{:?} waits, all have credit",
                    state.event
                ),
            }
        }
    }

    /// Everything is done, and nothing was lost but what retention took.
    pub(crate) fn is_complete(&self) -> bool {
        self.states.iter().all(|state| state.done)
    }

    pub(crate) fn check_complete(&self, mark: &Mark) {
        for state in &self.states {
            assert!(state.done && (state.proven || state.lost), "{:?} is lost", state.event);
            assert!(
                mark.covers(state.event.partition, state.event.offset),
                "{:?} is not durable",
                state.event
            );
        }
    }
}
