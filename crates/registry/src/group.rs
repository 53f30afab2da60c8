//! Groups: what of them is durable.

use jiff::Timestamp;
use sockeye_log::Position;

/// Identity of a group (DESIGN.md, words).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId {
    /// The application.
    pub application: String,
    /// The `group_id` that the client gave.
    pub group: String,
    /// The selection, in a canonical form; empty for the whole application.
    pub selection: String,
}

/// A durable position: everything before it was receipted, and some of what is behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupPosition {
    /// The low-water mark.
    pub position: Position,
    /// What was receipted behind it, in the encoding of whoever stores it; at most [`sockeye_limits::GROUP_RECEIPTED`]
    /// bytes, mostly none.
    pub receipted: Vec<u8>,
    /// When it was stored.
    pub stored: Timestamp,
}
