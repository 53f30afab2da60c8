//! What waits for a member, whichever it will be.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};

use crate::group::Key;
use crate::member::MemberId;

/// Events that any member may take: what came back first, then what is new.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// By the order in which they were read.
    returned: BTreeSet<(u64, Key)>,
    fresh: VecDeque<Key>,
}

// ----------------------------------------------------------------------------------------------

impl Queue {
    pub(crate) fn push(&mut self, key: Key) {
        self.fresh.push_back(key);
    }

    pub(crate) fn give_back(&mut self, order: u64, key: Key) {
        self.returned.insert((order, key));
    }

    pub(crate) fn first(&self) -> Option<Key> {
        let returned = self.returned.first().map(|(_, key)| *key);
        returned.or_else(|| self.fresh.front().copied())
    }

    pub(crate) fn pop(&mut self) {
        if self.returned.pop_first().is_none() {
            self.fresh.pop_front();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.returned.len() + self.fresh.len()
    }
}

/// Whose turn it is among those who are ready, after `last`; `avoid` only if there is no other.
pub(crate) fn in_turn(ready: &BTreeSet<MemberId>, last: Option<MemberId>, avoid: Option<MemberId>) -> Option<MemberId> {
    let after = last.map_or(Unbounded, Excluded);
    let mut turns = ready.range((after, Unbounded)).chain(ready).copied();
    if avoid.is_none() {
        return turns.next();
    }
    let mut turns = turns.take(ready.len());
    turns
        .find(|member| Some(*member) != avoid)
        .or_else(|| ready.first().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_back_goes_first_in_the_order_of_the_log() {
        let mut queue = Queue::default();
        for key in [5, 6, 7] {
            queue.push(key);
        }
        queue.give_back(2, 9);
        queue.give_back(1, 3);
        let mut order = Vec::new();
        while let Some(key) = queue.first() {
            order.push(key);
            queue.pop();
        }
        assert_eq!(order, [3, 9, 5, 6, 7]);
    }

    #[test]
    fn turns_go_round() {
        let check = |ready: &[u64], last: u64, avoid: Option<u64>, expected: Option<u64>| {
            let ready = ready.iter().copied().map(MemberId).collect();
            let last = (last > 0).then_some(MemberId(last));
            assert_eq!(in_turn(&ready, last, avoid.map(MemberId)), expected.map(MemberId));
        };
        check(&[], 0, None, None);
        check(&[], 3, Some(3), None);
        check(&[2, 4], 0, None, Some(2));
        check(&[2, 4], 2, None, Some(4));
        check(&[2, 4], 4, None, Some(2));
        check(&[2, 4], 3, None, Some(4));
        check(&[2, 4], 9, None, Some(2));
        check(&[2, 4], 2, Some(4), Some(2));
        check(&[2, 4, 6], 2, Some(4), Some(6));
        check(&[2, 4, 6], 6, Some(2), Some(4));
        check(&[2], 2, Some(2), Some(2));
        check(&[2], 4, Some(2), Some(2));
    }
}
