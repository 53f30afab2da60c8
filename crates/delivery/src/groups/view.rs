//! A group as an operator sees it.

use jiff::Timestamp;
use sockeye_group::{Counts, MemberView};
use sockeye_log::{GroupId, Position};

/// A group that this process owns, at one moment.
#[derive(Clone, Debug)]
pub struct GroupView {
    /// Which one.
    pub id: GroupId,
    /// Where it reads on.
    pub position: Position,
    /// Its durable low-water mark, as it was stored last.
    pub stored: Position,
    /// The end of the topic, as far as delivery has seen it.
    pub head: Position,
    /// Events that were read and not receipted: under way to members, or waiting for one.
    pub open: usize,
    /// Of these the ones that wait.
    pub waiting: usize,
    /// Bytes of the open events.
    pub bytes: usize,
    /// When the oldest open event was appended.
    pub oldest: Option<Timestamp>,
    /// Events that retention took from the group since it was made, at most: offsets are not dense.
    pub trimmed: u64,
    /// What was counted since this process has the group.
    pub counts: Counts,
    /// Its members, oldest first.
    pub members: Vec<MemberEntry>,
}

/// A member and its connection.
#[derive(Clone, Debug)]
pub struct MemberEntry {
    /// What the group knows of it.
    pub view: MemberView,
    /// The caller, if it has a name.
    pub name: Option<String>,
    /// Since when it is a member.
    pub since: Timestamp,
}

// ----------------------------------------------------------------------------------------------

impl GroupView {
    /// Records that are not receipted yet, at most: offsets are not dense, and the group may not want all of what it has not
    /// read.
    pub fn lag(&self) -> u64 {
        let unread = self.head.offsets().iter().map(|(partition, next)| {
            let read = self.position.offset(*partition);
            next.saturating_sub(read)
        });
        unread.sum::<u64>() + self.open as u64
    }

    /// Events under way to members.
    pub fn outstanding(&self) -> usize {
        self.members.iter().map(|member| member.view.outstanding).sum()
    }

    /// Events that may be under way to members.
    pub fn credit(&self) -> usize {
        self.members.iter().map(|member| member.view.credit).sum()
    }
}
