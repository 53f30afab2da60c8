//! What no member has, whatever the balance.

use std::collections::BTreeSet;

use bytestring::ByteString;
use slab::Slab;

use crate::devices::Devices;
use crate::group::{Entry, Key};
use crate::item::Item;
use crate::member::{Balance, MemberId};
use crate::queue::{Queue, in_turn};

/// Events that wait for members.
#[derive(Debug)]
pub(crate) enum Waiting {
    Any(Queue),
    Device(Devices),
}

/// An event and the member that it goes to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    pub(crate) key: Key,
    pub(crate) member: MemberId,
    /// Whether it was the member's turn: what another one could not do goes to the next out of turn.
    pub(crate) in_turn: bool,
}

// ----------------------------------------------------------------------------------------------

impl Waiting {
    pub(crate) fn new(balance: Balance) -> Self {
        match balance {
            Balance::Any => Self::Any(Queue::default()),
            Balance::Device => Self::Device(Devices::default()),
        }
    }

    /// Events of a group without members.
    pub(crate) fn of<T: Item>(balance: Balance, entries: &Slab<Entry<T>>) -> Self {
        let mut waiting = Self::new(balance);
        let mut keys: Vec<Key> = entries.iter().map(|(key, _)| key).collect();
        keys.sort_unstable_by_key(|key| entries[*key].order);
        for key in keys {
            let entry = &entries[key];
            match &mut waiting {
                Self::Device(devices) if entry.dying => devices.is_dying(entry.item.device()),
                Self::Any(_) if entry.dying => {}
                waiting => drop(waiting.push(key, entry)),
            }
        }
        waiting
    }

    pub(crate) fn balance(&self) -> Balance {
        match self {
            Self::Any(_) => Balance::Any,
            Self::Device(_) => Balance::Device,
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Any(queue) => queue.len(),
            Self::Device(devices) => devices.len(),
        }
    }

    /// A new event; the member that may be ready because of it.
    pub(crate) fn push<T: Item>(&mut self, key: Key, entry: &Entry<T>) -> Option<MemberId> {
        match self {
            Self::Any(queue) => {
                queue.push(key);
                None
            }
            Self::Device(devices) => devices.push(entry.item.device(), entry.order, key),
        }
    }

    /// Takes the next event that one of those who are ready may have.
    pub(crate) fn take<T: Item>(
        &mut self,
        ready: &BTreeSet<MemberId>,
        last: Option<MemberId>,
        entries: &Slab<Entry<T>>,
    ) -> Option<Taken> {
        match self {
            Self::Any(queue) => {
                let key = queue.first()?;
                let avoid = entries[key].avoid;
                let member = in_turn(ready, last, avoid)?;
                queue.pop();
                let in_turn = avoid.is_none();
                Some(Taken { key, member, in_turn })
            }
            Self::Device(devices) => {
                let member = in_turn(ready, last, None)?;
                let key = devices.pop(member)?;
                let in_turn = true;
                Some(Taken { key, member, in_turn })
            }
        }
    }

    /// An event that was under way waits again.
    pub(crate) fn give_back<T: Item>(&mut self, key: Key, entries: &Slab<Entry<T>>) {
        let entry = &entries[key];
        match self {
            Self::Any(queue) => queue.give_back(entry.order, key),
            Self::Device(devices) => devices.give_back(entry.item.device(), entry.order, key),
        }
    }

    /// An event that was under way is receipted; the member that may be ready because of it.
    pub(crate) fn settle<T: Item>(&mut self, entry: &Entry<T>) -> Option<MemberId> {
        match self {
            Self::Any(_) => None,
            Self::Device(devices) => devices.settle(entry.item.device()),
        }
    }

    /// An event that was under way goes to the dead letters.
    pub(crate) fn die<T: Item>(&mut self, entry: &Entry<T>) {
        if let Self::Device(devices) = self {
            devices.die(entry.item.device());
        }
    }

    /// A dead letter is stored, or (`again`) could not be; the member that may be ready because of it.
    pub(crate) fn died<T: Item>(&mut self, key: Key, entries: &Slab<Entry<T>>, again: bool) -> Option<MemberId> {
        let entry = &entries[key];
        match self {
            Self::Any(queue) => {
                if again {
                    queue.give_back(entry.order, key);
                }
                None
            }
            Self::Device(devices) => devices.died(entry.item.device(), again.then_some((entry.order, key))),
        }
    }

    /// Events of a device came back because a delivery failed at a member; the member that may be ready because of it.
    pub(crate) fn restart(&mut self, device: &ByteString, failed_at: MemberId) -> Option<MemberId> {
        match self {
            Self::Any(_) => None,
            Self::Device(devices) => devices.restart(device, Some(failed_at)),
        }
    }

    pub(crate) fn rebalance(&mut self, members: impl Iterator<Item = MemberId>) {
        if let Self::Device(devices) = self {
            devices.rebalance(members);
        }
    }

    /// Whether something waits for this member in particular; without a device's balance everything is for everybody.
    pub(crate) fn has_work(&self, member: MemberId) -> bool {
        match self {
            Self::Any(_) => true,
            Self::Device(devices) => devices.has_work(member),
        }
    }
}
