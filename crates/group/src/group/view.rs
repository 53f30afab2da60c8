//! What can be seen of a group.

use super::Group;
use crate::counts::Counts;
use crate::item::Item;
use crate::member::{MemberId, MemberView, Receipts};

impl<T: Item> Group<T> {
    /// Counts since the group was loaded.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The members, oldest first.
    pub fn members(&self) -> impl Iterator<Item = MemberView> {
        let credit = |id| self.ready.contains(&id);
        self.members
            .iter()
            .map(move |(id, member)| member.view(*id, credit(*id)))
    }

    /// Events that were read and not receipted, delivered or not.
    pub fn open(&self) -> usize {
        self.entries.len()
    }

    /// Bytes of them.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The one of them that was read first.
    pub fn oldest(&self) -> Option<&T> {
        let entries = self.entries.iter().map(|(_, entry)| entry);
        entries.min_by_key(|entry| entry.order).map(|entry| &entry.item)
    }

    /// How a member gives receipts.
    pub fn receipts_of(&self, id: MemberId) -> Option<Receipts> {
        self.members.get(&id).map(|member| member.receipts)
    }

    /// Of the open events the ones that no member has.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Nobody is a member and everything is durable: the group can be dropped, and loaded again when somebody comes.
    pub fn is_idle(&self) -> bool {
        self.members.is_empty() && self.persist.is_clean() && self.silent.is_empty() && self.dying == 0
    }
}
