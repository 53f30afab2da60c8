//! Topics and their records.

use std::fmt;

use bytes::Bytes;
use bytestring::ByteString;
use jiff::Timestamp;
use sockeye_event::Headers;

use crate::Position;

/// A named log. The engine decides what it is called in storage (Kafka: compat/drogue.md 2.6).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Topic {
    application: ByteString,
    content: Content,
}

/// What is in a topic of an application.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Content {
    /// Its events.
    Events,
    /// Events that failed in a group too often (DESIGN.md, contract point 4). An application without any has no such topic.
    DeadLetters,
    /// What others have put where the log is, under the application's name, a `.` and this: it is read, and nothing else. Only in
    /// Kafka there are others.
    Others(ByteString),
}

/// A record to be appended: a CloudEvent in binary mode (`sockeye_event::binary`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    /// Attributes, as headers.
    pub headers: Headers,
    /// The payload; `None` where the event has none.
    pub payload: Option<Bytes>,
}

/// A record that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The partition it is in.
    pub partition: u32,
    /// Its place in the partition.
    pub offset: u64,
    /// When it was appended, by the engine's clock; never before that of an earlier record of the partition.
    pub time: Timestamp,
    /// Attributes, as headers. What a foreign producer wrote may be no CloudEvent.
    pub headers: Headers,
    /// The payload; `None` is Kafka's null.
    pub payload: Option<Bytes>,
}

/// Records that follow a position without gap, in the order of each partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The records; may be empty where [`Batch::next`] has moved (Kafka's transaction markers are no records).
    pub records: Vec<Record>,
    /// Where to read on.
    pub next: Position,
}

// ----------------------------------------------------------------------------------------------

impl Topic {
    /// The log of an application's events.
    pub fn events_of(application: impl Into<ByteString>) -> Self {
        Self {
            application: application.into(),
            content: Content::Events,
        }
    }

    /// The log of an application's dead letters.
    pub fn dead_letters_of(application: impl Into<ByteString>) -> Self {
        Self {
            application: application.into(),
            content: Content::DeadLetters,
        }
    }

    /// What others have put where the log is, called by the application, a `.` and this name.
    pub fn others_of(application: impl Into<ByteString>, name: impl Into<ByteString>) -> Self {
        Self {
            application: application.into(),
            content: Content::Others(name.into()),
        }
    }

    /// All topics that are an application's own.
    pub fn all_of(application: impl Into<ByteString>) -> [Self; 2] {
        let application = application.into();
        [Self::events_of(application.clone()), Self::dead_letters_of(application)]
    }

    /// The topic that [`Topic::to_string`] gave this name.
    pub fn named(name: &str) -> Self {
        if let Some((application, others)) = name.split_once('.') {
            return Self::others_of(application, others);
        }
        match name.strip_suffix(DEAD_LETTERS) {
            Some(application) => Self::dead_letters_of(application),
            None => Self::events_of(name),
        }
    }

    /// The application.
    pub fn application(&self) -> &ByteString {
        &self.application
    }

    /// What is in it.
    pub fn content(&self) -> &Content {
        &self.content
    }
}

/// What follows the application in the name of its dead letters: no name of an application has a slash, or a dot.
const DEAD_LETTERS: &str = "/dead-letters";

impl fmt::Display for Topic {
    /// The application, with `/dead-letters` behind it if it is the log of those, or a `.` and the name that others gave it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.content {
            Content::Events => self.application.fmt(f),
            Content::DeadLetters => write!(f, "{}{DEAD_LETTERS}", self.application),
            Content::Others(name) => write!(f, "{}.{name}", self.application),
        }
    }
}

impl NewRecord {
    /// Bytes it counts for against limits: headers and payload.
    pub fn size(&self) -> usize {
        self.headers.len() + self.payload.as_ref().map_or(0, Bytes::len)
    }
}

impl Record {
    /// Bytes it counts for against limits: headers and payload.
    pub fn size(&self) -> usize {
        self.headers.len() + self.payload.as_ref().map_or(0, Bytes::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_topic_has_a_name_of_its_own() {
        for application in ["app", "dead-letters", "a"] {
            let [events, dead_letters] = Topic::all_of(application);
            assert_eq!(events.to_string(), application);
            assert_eq!(dead_letters.to_string(), format!("{application}/dead-letters"));
            let others = Topic::others_of(application, "device-data");
            assert_eq!(others.to_string(), format!("{application}.device-data"));
            for topic in [events, dead_letters, others] {
                assert_eq!(Topic::named(&topic.to_string()), topic);
            }
        }
    }
}
