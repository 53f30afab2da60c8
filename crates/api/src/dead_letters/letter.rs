//! One dead letter: its name, and how it is shown.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use bytes::BytesMut;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use sockeye_event::{binary, structured};
use sockeye_group::DeadLetter;
use sockeye_log::{GroupId, Record};

/// The name of a dead letter: its place in their log, as `0-17`. (The `id` of the event is none: there may be two of it.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct LetterId {
    pub(super) partition: u32,
    pub(super) offset: u64,
}

/// What operators see.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    letter: String,
    group: &'a str,
    selection: BTreeMap<&'a str, String>,
    /// Deliveries that failed.
    failures: u32,
    /// Where the event is in the log of the application, if retention has left it there.
    partition: u32,
    offset: u64,
    /// When it was appended there.
    appended: Timestamp,
    /// When it was given up.
    died: Timestamp,
    /// The event, as JSON.
    event: Option<Box<RawValue>>,
}

// ----------------------------------------------------------------------------------------------

impl LetterId {
    pub(super) fn of(record: &Record) -> Self {
        Self {
            partition: record.partition,
            offset: record.offset,
        }
    }
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.partition, self.offset)
    }
}

impl FromStr for LetterId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (partition, offset) = text.split_once('-').ok_or(())?;
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        match (partition.parse(), offset.parse()) {
            (Ok(partition), Ok(offset)) if digits(text.get(..1).unwrap_or_default()) => Ok(Self { partition, offset }),
            _ => Err(()),
        }
    }
}

/// The line of a letter in a list, with the line feed.
pub(super) fn line(record: &Record, letter: &DeadLetter, application: &str) -> Vec<u8> {
    let group = GroupId {
        application: application.to_owned(),
        group: letter.group.clone(),
        selection: letter.selection.clone(),
    };
    let shown = Shown {
        letter: LetterId::of(record).to_string(),
        group: &letter.group,
        selection: group.selected().collect(),
        failures: letter.failures,
        partition: letter.partition,
        offset: letter.offset,
        appended: letter.time,
        died: record.time,
        event: event(letter),
    };
    let mut line = serde_json::to_vec(&shown).expect("what is shown is JSON");
    line.push(b'\n');
    line
}

/// The event in structured mode, not printed anew.
fn event(letter: &DeadLetter) -> Option<Box<RawValue>> {
    let event = binary::decode(&letter.event.headers, letter.event.payload.as_ref()).ok()?;
    let mut text = BytesMut::new();
    structured::encode(&event, &mut text);
    RawValue::from_string(String::from_utf8(text.to_vec()).ok()?).ok()
}
