//! What delivery knows of groups, and does with them. This room knows no sockets: whoever puts the house together gives it this.

use async_trait::async_trait;
use jiff::Timestamp;
use sockeye_group::{Counts, MemberView};
use sockeye_log::{GroupError, GroupId, Position};

/// The groups, with their members.
#[async_trait]
pub trait LiveGroups: Send + Sync + 'static {
    /// Those that have members.
    fn all(&self) -> Vec<GroupId>;

    /// What can be seen of a group; `None` if nobody is a member.
    fn live(&self, group: &GroupId) -> Option<LiveGroup>;

    /// Lets a group go on from another place, durably. Its members are disconnected.
    async fn seek(&self, group: &GroupId, position: &Position) -> Result<(), GroupError>;

    /// Forgets a group; whether it was there. Its members are disconnected.
    async fn delete(&self, group: &GroupId) -> Result<bool, GroupError>;
}

/// A group that has members.
#[derive(Clone, Debug)]
pub struct LiveGroup {
    /// They, oldest first.
    pub members: Vec<LiveMember>,
    /// Where it reads on.
    pub position: Position,
    /// Events before that which are not receipted, delivered or not.
    pub open: usize,
    /// Of these the ones that no member has.
    pub waiting: usize,
    /// When the oldest of them was appended.
    pub oldest: Option<Timestamp>,
    /// Events that retention took since the group was made, at most.
    pub trimmed: u64,
    /// Counts since the group has members.
    pub counts: Counts,
}

/// A member and its connection.
#[derive(Clone, Debug)]
pub struct LiveMember {
    /// What the group knows of it.
    pub view: MemberView,
    /// The caller, if it has a name.
    pub name: Option<String>,
    /// Since when it is a member.
    pub since: Timestamp,
}
