//! The log as everything above an engine sees it: named topics, appended to in batches, read from a position, followed live.
//!
//! | file | idea |
//! | --- | --- |
//! | `record.rs` | [`Topic`], [`NewRecord`], [`Record`], [`Batch`] |
//! | `group.rs` | [`GroupId`], and [`GroupPositions`]: how far groups are, durably |
//! | `position.rs` | [`Position`], [`Incarnation`], [`Span`] |
//! | `cursor.rs` | [`Cursor`]: positions as text |
//! | `log.rs` | [`Log`] and [`Follow`], with one error enum per operation |
//! | `conformance.rs` | what every engine must pass (feature `conformance`) |
//!
//! Offsets of a partition are ordered, not dense. Positions are vectors of partition offsets; an engine with one
//! partition uses partition 0.

mod cursor;
mod group;
mod log;
mod position;
mod record;

#[cfg(feature = "conformance")]
pub mod conformance;

pub use cursor::{Cursor, CursorError};
pub use group::{GroupError, GroupId, GroupMark, GroupPosition, GroupPositions};
pub use log::{AppendError, Follow, Log, ReadError, ReadLimit, Retention, TopicError, Unavailable};
pub use position::{Incarnation, Position, Span};
pub use record::{Batch, Content, NewRecord, Record, Topic};
