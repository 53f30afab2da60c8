//! `balance=device`: what waits, by device; each device has one member.

use std::collections::{HashMap, VecDeque};

use bytestring::ByteString;

use crate::group::Key;
use crate::member::MemberId;

/// Devices that have events in the group, and their members.
///
/// The member of a device comes from a hash of both (rendezvous hashing), so it is the same for as long as the members are, and
/// few devices move when one comes or goes. A device moves only while nothing of it is under way, so that its events are in
/// order whoever gets them.
#[derive(Debug, Default)]
pub(crate) struct Devices {
    by_name: HashMap<ByteString, Device>,
    /// For each member its devices that have something to deliver; they take turns.
    queues: HashMap<MemberId, VecDeque<ByteString>>,
    /// Events that wait.
    waiting: usize,
}

#[derive(Debug, Default)]
struct Device {
    member: Option<MemberId>,
    /// The hash chose another member, which it will have when nothing is under way.
    moves: bool,
    /// Events under way to its member.
    out: usize,
    /// Events on their way to the dead letters: what comes behind them waits until they are there.
    dying: usize,
    /// Events that wait, by the order in which they were read.
    waiting: VecDeque<(u64, Key)>,
}

// ----------------------------------------------------------------------------------------------

impl Devices {
    /// One more event; the member that it waits for.
    pub(crate) fn push(&mut self, name: &ByteString, order: u64, key: Key) -> Option<MemberId> {
        self.waiting += 1;
        if let Some(device) = self.by_name.get_mut(name) {
            let was_listed = device.is_listed();
            device.waiting.push_back((order, key));
            if !was_listed && device.is_listed() {
                list(&mut self.queues, name, device, false);
            }
            return device.member;
        }
        let mut device = Device {
            member: choose(name, self.queues.keys().copied(), None),
            ..Device::default()
        };
        device.waiting.push_back((order, key));
        list(&mut self.queues, name, &device, false);
        let member = device.member;
        self.by_name.insert(name.clone(), device);
        member
    }

    /// Whether something waits for this member.
    pub(crate) fn has_work(&self, member: MemberId) -> bool {
        self.queues.get(&member).is_some_and(|queue| !queue.is_empty())
    }

    /// The next event for a member.
    pub(crate) fn pop(&mut self, member: MemberId) -> Option<Key> {
        let name = self.queues.get_mut(&member)?.pop_front()?;
        let device = self.by_name.get_mut(&name)?;
        let (_, key) = device.waiting.pop_front()?;
        device.out += 1;
        self.waiting -= 1;
        if device.is_listed() {
            list(&mut self.queues, &name, device, false);
        }
        Some(key)
    }

    /// An event that was under way is receipted; the member that the device has now.
    pub(crate) fn settle(&mut self, name: &ByteString) -> Option<MemberId> {
        let device = self.by_name.get_mut(name)?;
        device.out -= 1;
        if device.out == 0 && device.moves {
            self.restart(name, None);
        }
        self.forget_if_idle(name)
    }

    /// An event that was under way waits again. [`Devices::restart`] or [`Devices::rebalance`] has to follow.
    pub(crate) fn give_back(&mut self, name: &ByteString, order: u64, key: Key) {
        if let Some(device) = self.by_name.get_mut(name) {
            device.out -= 1;
            device.wait(order, key);
            self.waiting += 1;
        }
    }

    /// An event that was under way goes to the dead letters. [`Devices::restart`] or [`Devices::rebalance`] has to follow.
    pub(crate) fn die(&mut self, name: &ByteString) {
        if let Some(device) = self.by_name.get_mut(name) {
            device.out -= 1;
            device.dying += 1;
        }
    }

    /// An event that was dying before these books were made.
    pub(crate) fn is_dying(&mut self, name: &ByteString) {
        self.by_name.entry(name.clone()).or_default().dying += 1;
    }

    /// A dead letter is stored, or (`again`) could not be and waits again; the member that the device has now.
    pub(crate) fn died(&mut self, name: &ByteString, again: Option<(u64, Key)>) -> Option<MemberId> {
        let device = self.by_name.get_mut(name)?;
        device.dying -= 1;
        if let Some((order, key)) = again {
            device.wait(order, key);
            self.waiting += 1;
        }
        self.restart(name, None);
        self.forget_if_idle(name)
    }

    /// Goes on with a device whose events came back; if nothing of it is under way with another member than `avoid`.
    pub(crate) fn restart(&mut self, name: &ByteString, avoid: Option<MemberId>) -> Option<MemberId> {
        let device = self.by_name.get_mut(name)?;
        if let Some(queue) = device.member.and_then(|member| self.queues.get_mut(&member)) {
            queue.retain(|other| other != name);
        }
        if device.out == 0 {
            device.member = choose(name, self.queues.keys().copied(), avoid);
            device.moves = avoid.is_some();
        }
        if device.is_listed() {
            list(&mut self.queues, name, device, true);
        }
        device.member
    }

    /// Members have come or gone. Devices whose events waited longest are first.
    pub(crate) fn rebalance(&mut self, members: impl Iterator<Item = MemberId>) {
        self.queues = members.map(|member| (member, VecDeque::new())).collect();
        self.by_name.retain(|_, device| !device.is_idle());
        let mut listed = Vec::new();
        for (name, device) in &mut self.by_name {
            let member = choose(name, self.queues.keys().copied(), None);
            device.moves = device.out > 0 && device.member != member;
            if device.out == 0 {
                device.member = member;
            }
            if let Some((order, _)) = device.waiting.front().filter(|_| device.dying == 0) {
                listed.push((*order, name.clone()));
            }
        }
        listed.sort_unstable();
        for (_, name) in listed {
            list(&mut self.queues, &name, &self.by_name[&name], false);
        }
    }

    /// Events that wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting
    }

    fn forget_if_idle(&mut self, name: &ByteString) -> Option<MemberId> {
        let device = self.by_name.get(name)?;
        let member = device.member;
        if device.is_idle() {
            self.by_name.remove(name);
        }
        member
    }
}

impl Device {
    /// Whether it is in the queue of its member.
    fn is_listed(&self) -> bool {
        self.dying == 0 && !self.waiting.is_empty()
    }

    fn is_idle(&self) -> bool {
        self.out == 0 && self.dying == 0 && self.waiting.is_empty()
    }

    /// Takes an event into its place.
    fn wait(&mut self, order: u64, key: Key) {
        let at = self.waiting.partition_point(|(other, _)| *other < order);
        self.waiting.insert(at, (order, key));
    }
}

fn list(queues: &mut HashMap<MemberId, VecDeque<ByteString>>, name: &ByteString, device: &Device, first: bool) {
    if let Some(queue) = device.member.and_then(|member| queues.get_mut(&member)) {
        if first {
            queue.push_front(name.clone());
        } else {
            queue.push_back(name.clone());
        }
    }
}

/// The member of a device: whose number mixed with the name is highest; `avoid` only if there is no other.
fn choose(name: &ByteString, members: impl Iterator<Item = MemberId>, avoid: Option<MemberId>) -> Option<MemberId> {
    // FNV-1a, then the mixer of SplitMix64.
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    members.max_by_key(|member| {
        let mut mixed = hash ^ member.0.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (Some(*member) != avoid, mixed ^ (mixed >> 31), member.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(count: u64) -> impl Iterator<Item = MemberId> {
        (1..=count).map(MemberId)
    }

    fn name(number: u64) -> ByteString {
        format!("device-{number}").into()
    }

    #[test]
    fn devices_are_spread_and_few_move() {
        let mut counts = [0; 5];
        let mut moved = 0;
        for device in 0..4_000 {
            let four = choose(&name(device), members(4), None).unwrap();
            let five = choose(&name(device), members(5), None).unwrap();
            counts[four.0 as usize] += 1;
            moved += usize::from(four != five);
            assert!(four == five || five == MemberId(5), "only to the new one");
        }
        assert!(
            counts[1..].iter().all(|count| (900..1_100).contains(count)),
            "{counts:?}"
        );
        assert!((700..900).contains(&moved), "{moved}");
        assert_eq!(choose(&name(1), members(0), None), None);
        assert_eq!(choose(&name(1), members(1), Some(MemberId(1))), Some(MemberId(1)));
    }

    #[test]
    fn what_a_member_left_goes_to_its_successor_first() {
        let mut devices = Devices::default();
        devices.rebalance(members(1));
        let (one, two) = (name(1), name(2));
        for (order, device) in [(0, &one), (1, &one), (2, &two), (3, &one)] {
            assert_eq!(devices.push(device, order, order as Key), Some(MemberId(1)));
        }
        let popped: Vec<_> = std::iter::from_fn(|| devices.pop(MemberId(1))).collect();
        assert_eq!(popped, [0, 2, 1, 3]);
        devices.settle(&one);
        devices.push(&two, 4, 4);
        for (order, device) in [(1, &one), (2, &two), (3, &one)] {
            devices.give_back(device, order, order as Key);
        }
        devices.rebalance([MemberId(7)].into_iter());
        let popped: Vec<_> = std::iter::from_fn(|| devices.pop(MemberId(7))).collect();
        assert_eq!(popped, [1, 2, 3, 4]);
        assert_eq!(devices.len(), 0);
    }

    #[test]
    fn a_device_moves_when_nothing_of_it_is_under_way() {
        let mut devices = Devices::default();
        devices.rebalance(members(1));
        let moving = (0..1_000)
            .map(name)
            .find(|name| choose(name, members(2), None) == Some(MemberId(2)))
            .unwrap();
        devices.push(&moving, 0, 0);
        assert_eq!(devices.pop(MemberId(1)), Some(0));
        devices.rebalance(members(2));
        assert_eq!(devices.push(&moving, 1, 1), Some(MemberId(1)));
        assert!(!devices.has_work(MemberId(2)));
        assert_eq!(devices.settle(&moving), Some(MemberId(2)));
        assert_eq!((devices.pop(MemberId(1)), devices.pop(MemberId(2))), (None, Some(1)));
    }

    #[test]
    fn what_comes_behind_a_dying_event_waits() {
        let mut devices = Devices::default();
        devices.rebalance(members(1));
        let one = name(1);
        devices.push(&one, 0, 0);
        devices.push(&one, 1, 1);
        assert_eq!(devices.pop(MemberId(1)), Some(0));
        devices.die(&one);
        devices.restart(&one, Some(MemberId(1)));
        assert_eq!(devices.pop(MemberId(1)), None);
        devices.died(&one, None);
        assert_eq!(devices.pop(MemberId(1)), Some(1));
        devices.settle(&one);
        assert!(devices.by_name.is_empty());
    }
}
