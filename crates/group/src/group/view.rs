//! What can be seen of a group.

use super::Group;
use crate::counts::Counts;
use crate::item::Item;
use crate::member::MemberView;

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

    /// Of these the ones that no member has.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Nobody is a member and everything is durable: the group can be dropped, and loaded again when somebody comes.
    pub fn is_idle(&self) -> bool {
        self.members.is_empty() && self.persist.is_clean() && self.silent.is_empty() && self.dying == 0
    }
}
