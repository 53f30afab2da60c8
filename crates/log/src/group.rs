//! Groups: what of them is durable, and where. A group's position is a place in a log, so that it is told of here; it is stored
//! beside the applications, by the engine of the registry.

use std::fmt::Write as _;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::{Position, Unavailable};

/// Identity of a group (DESIGN.md, words).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId {
    /// The application.
    pub application: String,
    /// The `group_id` that the client gave.
    pub group: String,
    /// The selection, in the canonical form of [`GroupId::selection_of`]; empty for the whole application.
    pub selection: String,
}

/// How far a group is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMark {
    /// The low-water mark: everything before it was receipted, or taken by retention.
    pub position: Position,
    /// What was receipted behind it, in the encoding of whoever stores it; at most [`sockeye_limits::GROUP_RECEIPTED`]
    /// bytes, mostly none.
    pub receipted: Vec<u8>,
    /// Events that retention took from the group before it read them, at most (offsets are not dense), since it was made.
    pub trimmed: u64,
}

/// What is durable of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupPosition {
    /// How far it is.
    pub mark: GroupMark,
    /// When that was stored.
    pub stored: Timestamp,
    /// When the group was used last: it had a member, as far as that was noted, or its mark was stored.
    pub used: Timestamp,
}

/// Where groups keep what has to survive a crash.
#[async_trait]
pub trait GroupPositions: Send + Sync + 'static {
    /// What is stored of a group.
    async fn group(&self, group: &GroupId) -> Result<Option<GroupPosition>, GroupError>;

    /// The groups of an application, sorted.
    async fn groups(&self, application: &str) -> Result<Vec<(GroupId, GroupPosition)>, GroupError>;

    /// Makes a group at this position, durable when this returns; false, and nothing is changed, if it is there.
    async fn create_group(&self, group: &GroupId, position: &Position) -> Result<bool, GroupError>;

    /// What is stored of a group that has members, or is about to get one: it counts as used now, so that it does not expire.
    async fn use_group(&self, group: &GroupId) -> Result<Option<GroupPosition>, GroupError>;

    /// Stores how far a group is, all of it or nothing. One that was deleted meanwhile stays so.
    async fn set_group(&self, group: &GroupId, mark: &GroupMark) -> Result<(), GroupError>;

    /// Forgets a group; whether it was there.
    async fn delete_group(&self, group: &GroupId) -> Result<bool, GroupError>;

    /// Forgets the groups that were used before this time and not since, and says which.
    async fn expire_groups(&self, before: Timestamp) -> Result<Vec<GroupId>, GroupError>;

    /// Which of an application's dead letters are done with: the position before which all are, and some behind it, in the
    /// encoding of whoever stores it. `None` if there was never one.
    async fn dead_letters(&self, application: &str) -> Result<Option<(Position, Vec<u8>)>, GroupError>;

    /// Stores which of an application's dead letters are done with.
    async fn set_dead_letters(&self, application: &str, position: &Position, settled: &[u8]) -> Result<(), GroupError>;
}

/// Why nothing is known or stored of a group.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// Its application is not there, or no longer.
    #[error("there is no such application")]
    NoApplication,
    /// It is not there, or no longer.
    #[error("there is no such group")]
    NoGroup,
    /// Try again later.
    #[error("the positions of groups are not available: {0}")]
    Unavailable(#[from] Unavailable),
}

// ----------------------------------------------------------------------------------------------

impl GroupId {
    /// The canonical form of a selection that has these parts, such as `channel` and what it has to be: by name, as
    /// `channel=temperature&device=d1`. In a value `%`, `&` and control characters are percent-encoded. Two selections are the
    /// same if their canonical forms are.
    pub fn selection_of<'a>(parts: impl IntoIterator<Item = (&'static str, &'a str)>) -> String {
        let mut parts: Vec<_> = parts.into_iter().collect();
        parts.sort_unstable();
        let mut text = String::new();
        for (name, value) in parts {
            if !text.is_empty() {
                text.push('&');
            }
            text.push_str(name);
            text.push('=');
            for character in value.chars() {
                if is_escaped(character) {
                    let mut bytes = [0; 4];
                    for byte in character.encode_utf8(&mut bytes).bytes() {
                        write!(text, "%{byte:02X}").expect("a string takes it");
                    }
                } else {
                    text.push(character);
                }
            }
        }
        text
    }

    /// The parts of its selection, as they were given to [`GroupId::selection_of`].
    pub fn selected(&self) -> impl Iterator<Item = (&str, String)> {
        let parts = self.selection.split('&').filter_map(|part| part.split_once('='));
        parts.map(|(name, value)| (name, unescape(value)))
    }
}

impl GroupMark {
    /// A position behind which nothing was receipted.
    pub fn at(position: Position) -> Self {
        Self {
            position,
            receipted: Vec::new(),
            trimmed: 0,
        }
    }
}

fn is_escaped(character: char) -> bool {
    matches!(character, '%' | '&') || character.is_control()
}

fn unescape(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        let escaped = behind
            .split_first_chunk::<2>()
            .filter(|_| *byte == b'%')
            .and_then(|(digits, behind)| Some((str::from_utf8(digits).ok()?, behind)))
            .and_then(|(digits, behind)| Some((u8::from_str_radix(digits, 16).ok()?, behind)));
        let (byte, behind) = escaped.unwrap_or((*byte, behind));
        bytes.push(byte);
        rest = behind;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn group(selection: String) -> GroupId {
        GroupId {
            application: "app".into(),
            group: "g".into(),
            selection,
        }
    }

    #[test]
    fn the_canonical_form_stays_what_it_is() {
        assert_eq!(GroupId::selection_of([]), "");
        let parts = [("device", "d&1=%"), ("channel", "Küche/1\n")];
        assert_eq!(GroupId::selection_of(parts), "channel=Küche/1%0A&device=d%261=%25");
        assert_eq!(group(String::new()).selected().count(), 0);
    }

    proptest! {
        #[test]
        fn a_selection_is_read_back(channel in ".*", device in ".*") {
            let selection = GroupId::selection_of([("device", &*device), ("channel", &*channel)]);
            let group = group(selection);
            let parts: Vec<_> = group.selected().collect();
            prop_assert_eq!(parts, [("channel", channel), ("device", device)]);
        }
    }
}
